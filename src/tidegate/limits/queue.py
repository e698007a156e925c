"""The waiting room of one limit in one worker: who waits, and who is next.

- **Classes** are served in order, the most important first; which of them may be served now is asked elsewhere.
- **Tenants** of a class share what it gets by their weights, by start-time fair queueing: a tenant's next request has
  the tag ``max(virtual time, tag of its last + 1 / weight)``, the smallest tag is served, and virtual time is the tag
  that was served last. One that floods waits behind itself. (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM
  1996.)
- **Bounds** differ where tiers are allowed more than others (``which``). A tenant waits in a line for each bound; when
  the bound of the next in turn is reached, the next of those who are allowed more may go before him.
- **Order** within a tenant is arrival, until the class has a *standing* queue: its oldest has waited longer than the
  target. From then on the newest is served first, as its client is the likeliest still to be there, and the oldest run
  into their time-out. (Maurer: "Fail at Scale", ACM Queue 13(8), 2015; the target is that of CoDel: Nichols and
  Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012. Here the age of the oldest tells what CoDel measures over
  an interval: under adaptive LIFO it stays until the queue has really drained.)

Entering at the end, leaving and timing out cost O(1), serving O(log tenants). Nothing here reads a clock; times are
nanoseconds that never go back.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import takewhile
from typing import NamedTuple

__all__ = ["CLASSES", "Waiter", "WaitingRoom", "WaitingRoomStatistics"]

CLASSES = 4
"""Ranks of importance, 0 the most important: those of the bells."""


class WaitingRoomStatistics(NamedTuple):
    """What the room is like. ``is_standing``: a class serves its newest first."""

    waiting: tuple[int, ...]
    tenants: int
    oldest_ns: int
    is_standing: bool


class Waiter:
    """One request that waits. ``which``: its bound; ``is_admitted``: it has its permit, in ``row``."""

    __slots__ = ("arrived_ns", "class_", "flow", "is_admitted", "row", "weight", "which")

    def __init__(self, class_: int, which: int, weight: float, arrived_ns: int, flow: _Flow) -> None:
        self.class_ = class_
        self.which = which
        self.weight = weight
        self.arrived_ns = arrived_ns
        self.flow = flow
        self.is_admitted = False
        self.row = -1


class _Flow:
    """A tenant's waiters by one bound in order of arrival, and the tag of the next of them."""

    __slots__ = ("key", "tag", "waiters")

    def __init__(self, key: tuple[str, int], tag: float) -> None:
        self.key = key
        self.tag = tag
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()


def _insert(waiters: OrderedDict[Waiter, None], new: Waiter) -> None:
    """Behind all who came no later: mostly at the end."""
    later = list(takewhile(lambda waiter: waiter.arrived_ns > new.arrived_ns, reversed(waiters)))
    waiters[new] = None
    for waiter in reversed(later):
        waiters.move_to_end(waiter)


class _Line:
    """The waiters of one class. Each flow that is known is in the heap of its bound once, also when nobody of it waits:
    its tag is what it has had, and is forgotten when virtual time has passed it.
    """

    __slots__ = ("arrivals", "flows", "heaps", "turn", "virtual")

    def __init__(self) -> None:
        self.arrivals: OrderedDict[Waiter, None] = OrderedDict()
        self.flows: dict[tuple[str, int], _Flow] = {}
        self.heaps: dict[int, list[tuple[float, int, _Flow]]] = {}
        self.virtual = 0.0
        self.turn = 0  # of two with one tag, the one that was put there first

    def enter(self, tenant: str, class_: int, weight: float, arrived_ns: int, which: int) -> Waiter:
        key = (tenant, which)
        flow = self.flows.get(key)
        if flow is None:
            flow = self.flows[key] = _Flow(key, self.virtual)
            self.turn += 1
            heapq.heappush(self.heaps.setdefault(which, []), (flow.tag, self.turn, flow))
        waiter = Waiter(class_, which, weight, arrived_ns, flow)
        _insert(flow.waiters, waiter)
        _insert(self.arrivals, waiter)
        return waiter

    def oldest(self) -> Waiter | None:
        return next(iter(self.arrivals), None)

    def is_standing(self, target_ns: int, now_ns: int) -> bool:
        oldest = self.oldest()
        return oldest is not None and now_ns - oldest.arrived_ns > target_ns

    def bounds(self) -> list[int]:
        """By which bounds somebody waits, that of the next in turn first."""
        for which, heap in list(self.heaps.items()):
            while heap and not heap[0][2].waiters:
                del self.flows[heapq.heappop(heap)[2].key]
            if not heap:
                del self.heaps[which]
        return sorted(self.heaps, key=lambda which: self.heaps[which][0][:2])

    def serve(self, which: int, target_ns: int, now_ns: int) -> Waiter:
        is_standing = self.is_standing(target_ns, now_ns)
        heap = self.heaps[which]
        flow = heap[0][2]
        waiter, _ = flow.waiters.popitem(last=is_standing)
        self.virtual = max(self.virtual, flow.tag)
        flow.tag += 1 / waiter.weight
        self.turn += 1
        heapq.heapreplace(heap, (flow.tag, self.turn, flow))
        self._forget(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        del waiter.flow.waiters[waiter]
        self._forget(waiter)

    def _forget(self, waiter: Waiter) -> None:
        del self.arrivals[waiter]
        if not self.arrivals:  # nobody competes any more: all begin anew
            self.flows.clear()
            self.heaps.clear()
            self.virtual = 0.0


class WaitingRoom:
    """``size``: places; ``timeout_ns``: how long one may wait; ``target_ns``: age beyond which the newest is served."""

    def __init__(self, size: int, timeout_ns: int, target_ns: int) -> None:
        self.size = size
        self.timeout_ns = timeout_ns
        self.target_ns = target_ns
        self._lines = tuple(_Line() for _ in range(CLASSES))
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def waiting(self, class_: int) -> int:
        """How many of a class wait."""
        return len(self._lines[class_].arrivals)

    def enter(self, tenant: str, class_: int, weight: float, arrived_ns: int, which: int = 0) -> Waiter | None:
        """A place in the tenant's line, by when it began to wait; None: all are taken. ``weight`` > 0, 1 is usual.

        ``which``: of the bounds the request is asked by.
        """
        if self._waiting >= self.size:
            return None
        self._waiting += 1
        return self._lines[class_].enter(tenant, class_, weight, arrived_ns, which)

    def bounds(self, class_: int) -> list[int]:
        """By which bounds somebody of a class waits, that of the next in turn first."""
        return self._lines[class_].bounds()

    def serve(self, class_: int, now_ns: int, which: int | None = None) -> Waiter | None:
        """Takes the next of a class out of the room, by a bound if one is said; None: nobody of them waits."""
        bounds = self._lines[class_].bounds()
        if not bounds or (which is not None and which not in bounds):
            return None
        self._waiting -= 1
        return self._lines[class_].serve(bounds[0] if which is None else which, self.target_ns, now_ns)

    def leave(self, waiter: Waiter) -> bool:
        """Takes somebody out who does not want to wait any longer; False: he is not here any more."""
        if waiter not in waiter.flow.waiters:
            return False
        self._waiting -= 1
        self._lines[waiter.class_].leave(waiter)
        return True

    def newest(self, class_: int) -> Waiter | None:
        """The one of a class that came last; it stays."""
        return next(reversed(self._lines[class_].arrivals), None)

    def expire(self, now_ns: int) -> list[Waiter]:
        """Takes all out who have waited for ``timeout_ns``, the longest first within a class."""
        expired = []
        for line in self._lines:
            while (oldest := line.oldest()) is not None and now_ns - oldest.arrived_ns >= self.timeout_ns:
                line.leave(oldest)
                expired.append(oldest)
        self._waiting -= len(expired)
        return expired

    def clear(self) -> list[Waiter]:
        """Takes everybody out, the longest first within a class."""
        everybody = [waiter for line in self._lines for waiter in line.arrivals]
        for waiter in everybody:
            self.leave(waiter)
        return everybody

    def next_timeout_ns(self) -> int | None:
        """When the next of them has waited too long; None: nobody waits."""
        oldest = [waiter.arrived_ns for line in self._lines if (waiter := line.oldest()) is not None]
        return min(oldest) + self.timeout_ns if oldest else None

    def statistics(self, now_ns: int) -> WaitingRoomStatistics:
        """What the room is like now."""
        oldest = [waiter.arrived_ns for line in self._lines if (waiter := line.oldest()) is not None]
        return WaitingRoomStatistics(
            waiting=tuple(len(line.arrivals) for line in self._lines),
            tenants=len({flow.key[0] for line in self._lines for flow in line.flows.values() if flow.waiters}),
            oldest_ns=now_ns - min(oldest) if oldest else 0,
            is_standing=any(line.is_standing(self.target_ns, now_ns) for line in self._lines),
        )

    def __repr__(self) -> str:
        return f"<WaitingRoom {self._waiting}/{self.size} waiting>"
