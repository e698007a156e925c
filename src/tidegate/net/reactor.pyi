from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import NamedTuple

class ReactorStatistics(NamedTuple):
    channels: int
    batches: int
    events: int
    faults: int
    ready: int

class Channel:
    @property
    def is_open(self) -> bool: ...
    def fileno(self) -> int: ...

class Reactor:
    epoll_fd: int
    batches: int
    events_seen: int
    faults: int
    channels: int
    def __init__(self, loop: AbstractEventLoop) -> None: ...
    def poll(self) -> None: ...
    def tick(self) -> None: ...
    def add_tick_hook(self, hook: Callable[[int], object]) -> None: ...
    @property
    def time_ns(self) -> int: ...
    def statistics(self) -> ReactorStatistics: ...
    def close(self) -> None: ...
