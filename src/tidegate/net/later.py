"""A wait without a task: a future, and what is made of it when it is done.

A task and the coroutines in it cost more than the wait itself when that is one question to a server: on the way of a
session that is looked up they were a third of all. Who is handed a ``Later`` is called back by its future instead, and
who likes a task better awaits it.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

__all__ = ["Later"]

T = TypeVar("T")


class Later(Generic[T]):
    """What there will be once ``future`` is done.

    Args:
        future: That is waited for. Whoever has no use for it any more cancels it.
        then: ``then(future)``, plain and quick, makes the value of the future, which is done and was not cancelled, or
            raises why there is none. It is called once.
    """

    __slots__ = ("future", "then")

    def __init__(self, future: "asyncio.Future[Any]", then: "Callable[[asyncio.Future[Any]], T]") -> None:
        self.future = future
        self.then = then

    def __await__(self) -> Generator[Any, None, T]:
        try:
            yield from self.future
        except Exception:
            if not self.future.done():
                raise  # it is of who awaits, not of the future, where ``then`` finds it
        return self.then(self.future)

    def __repr__(self) -> str:
        return f"<Later {self.future!r}>"
