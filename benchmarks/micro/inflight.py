"""Nanoseconds of a permit, taken and given back: by worker slots, of a key among a million, and with a queue.

One loop in C a case, so that nothing of the interpreter is in it but where "from Python" says so.
"""

import random
from collections.abc import Callable

from tidegate.limits.bell import LimitBell, WorkerBells
from tidegate.limits.concurrency import ConcurrencyLimit
from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region

MILLION = 1_000_000
_LIMIT = 0x1234_5678_9ABC_DEF0


def _cycles(table: PermitTable, keys: list[int], maximum: int) -> Callable[[int], None]:
    def case(n: int) -> None:
        refused = table.cycle(keys, maximum, n)
        if refused:
            raise RuntimeError(f"{refused} of {n} permits were refused")

    return case


def _row(slots: int) -> Callable[[int], None]:
    """A key that somebody else holds as well, so that its row stays."""
    region = Region.create(slots, 1, 1, inflight_blocks=1)
    PermitTable(region.inflight(1), 0).take(_LIMIT, 1000)
    table = PermitTable(region.inflight(0), 0)
    return _cycles(table, [_LIMIT], 1000)


def _keys() -> Callable[[int], None]:
    """A million keys are held; others come and go among them, each in a row that is made and freed again.

    Made when the module is imported, so that the runner does not take it for the work.
    """
    region = Region.create(8, 1, 1, inflight_blocks=1 << 18)
    holder, table = (PermitTable(region.inflight(slot), 0, 1 << 18) for slot in (1, 0))
    chance = random.Random(1)
    for _ in range(MILLION):
        holder.take(chance.getrandbits(64), 1)
    others = [chance.getrandbits(64) for _ in range(100_000)]
    return _cycles(table, others, 1)


def _with_a_queue(n: int) -> None:
    region = Region.create(8, 1, 1, inflight_blocks=1)
    bell = LimitBell(WorkerBells(region.bells(), 0), 0)
    limit = ConcurrencyLimit(PermitTable(region.inflight(0), 0), _LIMIT, bell, maximum=10, queue=10)
    for _ in range(n):
        limit.take()
        limit.give_back()


CASES = {
    **{f"one row, {slots} slots": _row(slots) for slots in (2, 4, 8, 16, 32, 64)},
    "a new key among a million, 8 slots": _keys(),
    "a limit with a queue, 8 slots, from Python": _with_a_queue,
}
