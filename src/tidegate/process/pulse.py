"""A worker's signs of life in shared memory: the heartbeat, the lag of its loop, the pauses of its collector."""

import asyncio
import gc
import time

from tidegate.memory.meters import Meters
from tidegate.memory.slot import Slot

__all__ = ["Pulse"]

_PERIOD_S = 0.05


class Pulse:
    """Stamps its slot twenty times a second from the loop: a stamp that is old means a loop that stands."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slot: Slot, meters: Meters) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._slot = slot
        self._meters = meters
        self._due_s = loop.time()
        self._lag_max_ns = 0
        self._second = 0
        self._second_worst_ns = self._second_before_ns = 0
        self._collection_began_ns = 0
        self._pause_max_ns = 0

    def start(self) -> None:
        """Begins to beat, and to time the collector."""
        gc.callbacks.append(self._collected)
        self._beat()

    def stop(self) -> None:
        """Ends both."""
        gc.callbacks.remove(self._collected)
        if self._timer is not None:
            self._timer.cancel()

    def forget_maxima(self) -> None:
        """What held the loop while it started held nobody up; and who takes the meters anew sets them to zero."""
        self._due_s = max(self._due_s, self._loop.time())  # a beat that is late by now is the start's as well
        self._lag_max_ns = self._pause_max_ns = 0
        self._meters.set("loop_lag_max_ns", 0)
        self._meters.set("gc_pause_max_ns", 0)

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        self._slot.heartbeat_ns = now_ns
        now_s = self._loop.time()
        lag_ns = max(0, int((now_s - self._due_s) * 1e9))
        self._meters.set("loop_lag_ns", lag_ns)
        if lag_ns > self._lag_max_ns:
            self._lag_max_ns = lag_ns
            self._meters.set("loop_lag_max_ns", lag_ns)
        self._note_recent(lag_ns, now_ns // 1_000_000_000)
        self._due_s = now_s + _PERIOD_S
        self._timer = self._loop.call_at(self._due_s, self._beat)

    def _note_recent(self, lag_ns: int, second: int) -> None:
        """The worst of this second and the one before: who looks once a second misses none."""
        if second != self._second:
            self._second_before_ns = self._second_worst_ns if second == self._second + 1 else 0
            self._second_worst_ns = 0
            self._second = second
        self._second_worst_ns = max(self._second_worst_ns, lag_ns)
        self._meters.set("loop_lag_recent_ns", max(self._second_worst_ns, self._second_before_ns))

    def _collected(self, phase: str, info: dict[str, int]) -> None:  # noqa: ARG002 - as gc calls it
        if phase == "start":
            self._collection_began_ns = time.monotonic_ns()
            return
        pause_ns = time.monotonic_ns() - self._collection_began_ns
        self._meters.count("gc_collections")
        self._meters.count("gc_pause_ns", pause_ns)
        if pause_ns > self._pause_max_ns:
            self._pause_max_ns = pause_ns
            self._meters.set("gc_pause_max_ns", pause_ns)
