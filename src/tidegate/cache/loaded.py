"""What a ``load`` may return when it knows more of a value than who asks."""

from typing import Any, NamedTuple

__all__ = ["Loaded"]


class Loaded(NamedTuple):
    """A value with what is known of it.

    value: None when there is none. ttl: seconds that it is fresh; None: what the caller or the configuration says.
    tags: names to invalidate it by, beside those of the caller.
    """

    value: Any
    ttl: float | None = None
    tags: tuple[str, ...] = ()
