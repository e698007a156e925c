from collections.abc import Callable
from typing import Any, Protocol

class Reader(Protocol):
    """What ``hiredis.Reader`` does."""

    def feed(self, data: bytes, offset: int = ..., size: int = ..., /) -> None: ...
    def gets(self) -> Any: ...

class ReplyStream:
    def __init__(
        self,
        reader: Reader,
        incomplete: object,
        *,
        large: int = ...,
        largest: int = ...,
        too_large: Callable[[int], Any],
    ) -> None: ...
    def feed(self, data: bytes) -> list[Any]: ...
    @property
    def is_between_replies(self) -> bool: ...
