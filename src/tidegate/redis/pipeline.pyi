import asyncio
from collections import deque
from typing import Any, NamedTuple

from tidegate.redis.commands import Argument
from tidegate.redis.connection import Connection
from tidegate.redis.meters import Meters

def has_large(args: tuple[Argument, ...]) -> bool: ...

class Command:
    future: asyncio.Future[Any]
    args: tuple[Argument, ...]
    size: int
    def __init__(self, future: asyncio.Future[Any], args: tuple[Argument, ...]) -> None: ...

class Waiter(NamedTuple):
    future: asyncio.Future[Any]
    args: tuple[Argument, ...]
    deadline: float
    late_at: float | None

class Pipeline:
    loop: asyncio.AbstractEventLoop
    meters: Meters
    max_commands: int
    max_bytes: int
    batch: int
    linger_s: float
    timeout_s: float
    connection: Connection | None
    expired: int
    bytes_in_flight: int
    waiting: deque[Waiter]
    heard_at: float
    failures: int
    writes: int
    commands: int
    bytes_out: int
    bytes_in: int
    dropped: int
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        meters: Meters,
        *,
        batch: int,
        linger_s: float,
        timeout_s: float,
        max_commands: int,
        max_bytes: int,
    ) -> None: ...
    def call(self, *args: Argument) -> asyncio.Future[Any]: ...
    def send(self, args: tuple[Argument, ...], timeout_s: float | None = None) -> asyncio.Future[Any]: ...
    def enqueue(
        self, future: asyncio.Future[Any], args: tuple[Argument, ...], timeout_s: float | None = None
    ) -> None: ...
    @property
    def now_s(self) -> float: ...
    @property
    def in_flight_count(self) -> int: ...
    def use(self, connection: Connection | None) -> None: ...
    def write(self) -> None: ...
    def take(self, replies: list[Any]) -> None: ...
    def admit(self) -> None: ...
    def take_late(self, now: float) -> tuple[list[asyncio.Future[Any]], bool]: ...
    def next_late_s(self) -> float | None: ...
    def take_all(self) -> tuple[list[Command], list[tuple[Command, float]]]: ...
    # what a lane decides
    def wait(self, future: asyncio.Future[Any], args: tuple[Argument, ...], timeout_s: float | None) -> None: ...
    def watch(self, deadline: float, future: asyncio.Future[Any] | None) -> None: ...
    def pushed(self, message: Any) -> None: ...
    def refused(self, error: Exception, command: Command) -> bool: ...
    def heard(self) -> None: ...
    def out_of_step(self) -> None: ...
