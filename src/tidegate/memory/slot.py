"""One worker slot: who is in it, how far he is, and his parts of the shared sections.

The mark is written by its worker; the supervisor writes it only while nobody is in the slot (before the worker starts,
and after it was reaped). Every field is one word, so a reader sees old or new and nothing between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from tidegate.memory.bells import Bells
from tidegate.memory.flights import FlightTable
from tidegate.memory.hitters import Hitters
from tidegate.memory.inflight import Inflight
from tidegate.memory.log_ring import LogReader, LogRing
from tidegate.memory.mapping import Mapping
from tidegate.memory.marks import Mark, MarkReader
from tidegate.memory.meters import Meters


class SlotState(IntEnum):
    """What the worker in a slot is doing."""

    EMPTY = 0
    STARTING = 1
    READY = 2
    DRAINING = 3
    DEAD = 4


class SlotStatistics(NamedTuple):
    """A mark as it was read; times are nanoseconds on CLOCK_MONOTONIC, the same in all processes."""

    slot: int
    pid: int
    state: SlotState
    generation: int
    prepared: int
    heartbeat_ns: int
    started_ns: int


class _Word:
    """One word of the section "marks" as an attribute."""

    def __init__(self, index: int, doc: str) -> None:
        self.index = index
        self.__doc__ = doc

    def __get__(self, slot: Slot, owner: type[Slot]) -> int:
        return slot.mapping.load_word("marks", slot.index, self.index)

    def __set__(self, slot: Slot, value: int) -> None:
        slot.mapping.store_word("marks", slot.index, self.index, value)


MARK_SIZE = 256
"""Bytes of a mark: one cache line each for who is in the slot, its heartbeat, `marks.Mark`, and what others write."""


class Slot:
    """A worker slot of a region. ``bell_fds``: of all slots, for who gives back what a dead worker held."""

    pid = _Word(0, "process in the slot; 0: nobody yet")
    generation = _Word(2, "which start of the program the worker belongs to")
    prepared = _Word(3, "number of the latest snapshot the worker is ready to serve")
    heartbeat_ns = _Word(8, "monotonic time the worker last stamped from its loop; in a cache line of its own")
    started_ns = _Word(4, "monotonic time the worker was started")
    queued = _Word(24, "connections in its accept queues; written by the supervisor, in a cache line of its own")
    suspected_until_ns = _Word(25, "monotonic time until which the gateway suspects itself; written by control")
    # written by the supervisor too; a successor goes on counting
    stalls = _Word(26, "times the worker's loop was held for too long")
    stall_max_ns = _Word(27, "longest that it was")
    stalled_since_ns = _Word(28, "since when it is held; 0: it turns")
    _state = _Word(1, "SlotState")

    def __init__(self, mapping: Mapping, index: int, bell_fds: Sequence[int] = ()) -> None:
        if not 0 <= index < mapping.slots:
            raise IndexError(f"the region has {mapping.slots} slots, there is no slot {index}")
        self.mapping = mapping
        self.index = index
        self.bell_fds = bell_fds

    @property
    def state(self) -> SlotState:
        """What the worker in the slot is doing."""
        return SlotState(self._state)

    @state.setter
    def state(self, state: SlotState) -> None:
        self._state = int(state)

    def claim(self, pid: int, generation: int, now_ns: int) -> None:
        """Puts a worker into the slot: starting, nothing prepared, alive as of now."""
        self.prepared = 0
        self.generation = generation
        self.started_ns = now_ns
        self.stalled_since_ns = 0
        MarkReader(self.mapping).wipe(self.index)
        self.heartbeat_ns = now_ns
        self.pid = pid
        self.state = SlotState.STARTING

    def give_back(self) -> None:
        """Ends what the worker that was in the slot still held; the supervisor's, when it has been reaped.

        Its gauges go to zero (counters stay), its permits and places in queues are free, what it was fetching may be
        fetched by others, its bells are nobody's, and those who waited for what is free now are told.
        """
        self.take_meters()
        bells = Bells(self.mapping, self.bell_fds)
        freed = Inflight(self.mapping).forget(self.index) if self.mapping.layout.sections["inflight"].size else 0
        bells.forget(self.index)
        if self.mapping.layout.sections["flights"].size:
            FlightTable(self.mapping, self.index).forget(self.index, time.monotonic_ns())
        if freed:
            bells.ring_all()

    def take_mark(self) -> Mark:
        """The writer's end of the mark that says where the worker is, for the worker in the slot."""
        return Mark(self.mapping, self.index)

    def take_meters(self) -> Meters:
        """The writer's view of the slot's meters, for the worker in it: counters go on, gauges are reset."""
        return Meters(self.mapping, self.index)

    def take_hitters(self) -> Hitters:
        """The writer's view of who asks most, for the worker in the slot."""
        return Hitters(self.mapping, self.index)

    def take_log_ring(self) -> LogRing:
        """The writer's end of the slot's log ring, for the worker in it."""
        return LogRing(self.mapping, self.index)

    def log_reader(self) -> LogReader:
        """The reader's end of the slot's log ring, for control."""
        return LogReader(self.mapping, self.index)

    def statistics(self) -> SlotStatistics:
        """The mark as it is now."""
        return SlotStatistics(
            self.index, self.pid, self.state, self.generation, self.prepared, self.heartbeat_ns, self.started_ns
        )

    def __repr__(self) -> str:
        return f"<Slot {self.index} {self.state.name.lower()} pid={self.pid} prepared={self.prepared}>"
