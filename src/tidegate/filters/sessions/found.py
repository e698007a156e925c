"""What a cache remembers of a session, and as what it travels."""

from typing import Any, Self

import msgspec

from tidegate.filters.tokens.principal import Principal

__all__ = ["Found"]


class Found(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A session that was found.

    Args:
        at_s: When, on the cache's clock.
        principal: Whom it was read as. It travels without the digest of its token.
    """

    at_s: float
    principal: Principal

    @classmethod
    def again(cls, value: Any, digest: bytes) -> Self:
        """One that has travelled as JSON; ValidationError for what is none. digest: of its token."""

        def identity(kind: type, said: Any) -> Any:
            return kind(digest=digest, **said)

        return msgspec.convert(value, cls, dec_hook=identity)

    def __sizeof__(self) -> int:
        return 100 + self.principal.size
