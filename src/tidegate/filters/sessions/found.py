"""What a cache remembers of a session: as JSON, so that it can travel, with whom it was read as at hand."""

from collections.abc import Mapping
from typing import Any, Self

from tidegate import Identity
from tidegate.filters.tokens.principal import Principal

__all__ = ["Found", "principal_of"]


class Found(dict[str, Any]):
    """A JSON object that knows the principal it was made of; one that has travelled is a plain dict."""

    __slots__ = ("principal",)
    principal: Principal

    @classmethod
    def of(cls, principal: Principal, at_s: float) -> Self:
        """What is to be remembered of ``principal``. at_s: when it was found, on the cache's clock."""
        identity = principal.identity
        assert identity is not None  # noqa: S101 - a session is somebody's
        made = cls(
            at=at_s,
            subject=identity.subject,
            tenant=identity.tenant,
            tier=identity.tier,
            priority=identity.priority,
            fields=[list(field) for field in principal.fields],
        )
        made.principal = principal
        return made

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.principal.size


def principal_of(found: Mapping[str, Any], digest: bytes) -> Principal:
    """Whom a session stands for that was found by somebody else. digest: of its token."""
    identity = Identity(found["subject"], found["tenant"], found["tier"], found["priority"], digest)
    return Principal(identity, tuple((name, text) for name, text in found["fields"]))
