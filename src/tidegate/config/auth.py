"""``[auth.NAME]``: who may ask, and as whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MinLen

from tidegate.config.kinds import Doc, FieldName, KeyDigest, Kind, Scheme, describe
from tidegate.config.section import Section

__all__ = ["Auth", "AuthKey", "Realm", "tiers_of"]


@dataclass(frozen=True, slots=True)
class Realm(Kind):
    """What a challenge says it is for (RFC 9110, 11.5): in a quoted string, whose bytes over 127 mean nothing."""

    expects: ClassVar[str] = "printable ASCII text"
    schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": "^[ -~]+$"}

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable()):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        return value

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthKey(Section):
    """One key, and whom it stands for."""

    key: Annotated[str, KeyDigest(), Doc("`sha256:` and the SHA-256 of the key in hexadecimal, never the key itself.")]
    subject: Annotated[str, MinLen(1), Doc("Who it is. One who changes keys has two for a while.")]
    tenant: Annotated[str, Doc("For whom: an account or organisation; absent: the subject.")] = ""
    tier: Annotated[str, Doc("The plan that the tenant is on; `tiers` of a limit say what it allows.")] = ""
    priority: Annotated[
        int,
        Ge(-1000),
        Le(1000),
        Doc("The higher is the more important; `classes.priorities` make classes of it, and filters see it."),
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth(Section):
    """How a route finds out who asks. Who presents no key that is known gets 401.

    Keys are told apart by their digests, so they have to be long and random (`openssl rand -hex 24`): passwords are for
    the filter `BasicAuth`.
    """

    kind: Annotated[Literal["key"], Doc("A key in a header field.")]
    header: Annotated[str, FieldName(), Doc("The field that has the key.")] = "X-API-Key"
    scheme: Annotated[
        str | None, Scheme(), Doc('What stands before the key in the field, such as "Bearer" in `Authorization`.')
    ] = None
    realm: Annotated[str | None, Realm(), Doc("Said to who has no key; absent: the name of the table.")] = None
    keep: Annotated[bool, Doc("Whether the field goes on to the upstream.")] = False
    keys: Annotated[tuple[AuthKey, ...], MinLen(1), Doc("The keys that are known.")]


def tiers_of(auth: Mapping[str, Auth]) -> set[str]:
    """Every tier that a key may have."""
    return {key.tier for one in auth.values() for key in one.keys if key.tier}
