"""What a cache remembers of a session: as JSON, so that it can travel, with whom it was read as at hand."""

from typing import Any, ClassVar, Self

import msgspec

from tidegate import Identity
from tidegate.filters.tokens.principal import Principal

__all__ = ["Found"]


class Found(msgspec.Struct, dict=True, eq=False):
    """A session that was found; ``at_s``: when, on the cache's clock.

    What it was read as is kept beside its fields and does not travel with them: it is made anew elsewhere.
    """

    principal: ClassVar[Principal]  # of the instance, in its dict: what is of the class is no field

    at_s: float
    subject: str
    tenant: str
    tier: str
    priority: int
    fields: list[tuple[str, str | None]]

    @classmethod
    def of(cls, principal: Principal, at_s: float) -> Self:
        """What is to be remembered of ``principal``."""
        identity = principal.identity
        assert identity is not None  # noqa: S101 - a session is somebody's
        made = cls(at_s, identity.subject, identity.tenant, identity.tier, identity.priority, list(principal.fields))
        made.__dict__["principal"] = principal
        return made

    @classmethod
    def again(cls, value: Any, digest: bytes) -> Self:
        """One that has travelled as JSON. digest: of its token."""
        made = msgspec.convert(value, cls)
        identity = Identity(made.subject, made.tenant, made.tier, made.priority, digest)
        made.__dict__["principal"] = Principal(identity, tuple(made.fields))
        return made

    def __sizeof__(self) -> int:
        return 400 + 2 * self.principal.size  # its own fields are the principal's once more
