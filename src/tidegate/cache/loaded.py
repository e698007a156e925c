"""What a ``load`` may return when it knows more of a value than who asks, and one that seldom needs a task."""

from typing import Any, NamedTuple

from tidegate.net.later import Later

__all__ = ["Loaded", "NeedsTask", "Question"]


class Loaded(NamedTuple):
    """A value with what is known of it.

    value: None when there is none. ttl: seconds that it is fresh; None: what the caller or the configuration says.
    tags: names to invalidate it by, beside those of the caller.
    """

    value: Any
    ttl: float | None = None
    tags: tuple[str, ...] = ()


class NeedsTask(Exception):
    """A question came to nothing, in a way that only a whole load can deal with."""


class Question:
    """A ``load`` that most often is one question to a server: for that no task is started.

    It is asked where nothing but the origin can have the value. Where other tiers are looked into first, and after a
    `NeedsTask`, it is awaited as any other load.
    """

    __slots__ = ()

    def ask(self) -> Later[Any] | None:
        """What a load returns; None: it has to be awaited as a whole.

        It has a deadline of its own: ``load_timeout`` does not bound it.
        """
        raise NotImplementedError

    async def __call__(self, key: Any) -> Any:
        """The same as any other load."""
        raise NotImplementedError
