"""A backend with so many places: who comes to a full one waits in order, and is worked for even if he has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from tidegate.lab.pieces.service import Answer, Handler, Request
from tidegate.process import tasks

__all__ = ["Job", "Workshop"]

Job = Callable[[], Awaitable[object]]


class Workshop:
    """Work on ``places`` things at a time. A context manager: its end drops what waits.

    A thread pool or a pool of database connections behaves like this: it does not hear that a client has given up.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.waiting = 0
        self._turns = asyncio.Semaphore(places)
        self._works: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Workshop of {self.places}, {self.waiting} waiting>"

    async def work(self, job: Job) -> None:
        """Takes a place, in the order of coming, for as long as the job takes."""
        work = tasks.start(self._work(job), "work in the lab")
        self._works.add(work)
        work.add_done_callback(self._works.discard)
        await asyncio.shield(work)

    def handler(self, takes_s: Callable[[Request], float]) -> Handler:
        """Answers a request when it has been worked for as long as it takes."""

        async def answer(request: Request) -> Answer:
            await self.work(lambda: asyncio.sleep(takes_s(request)))
            return Answer()

        return answer

    async def _work(self, job: Job) -> None:
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        try:
            await job()
        finally:
            self._turns.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for work in list(self._works):
            work.cancel()
