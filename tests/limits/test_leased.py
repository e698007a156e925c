"""A limit of a whole fleet as a request sees it: credits, and whoever is asked for more."""

from __future__ import annotations

from tidegate.limits.leased import PENDING, LeasedLimit
from tidegate.memory.leases import EPOCH_MS, LeaseTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

KEY = 0x1234567890ABCDEF
MS = 1_000_000
NOW = 1000 * EPOCH_MS
EPOCH = NOW // EPOCH_MS


class Lender:
    """Remembers who was borrowed for."""

    def __init__(self, low: int = 0) -> None:
        self.least = low
        self.asked: list[tuple[int, int, int]] = []
        self.decided: list[int] = []

    def low(self, which: int) -> int:
        assert which == 3
        return self.least

    def borrow(self, which: int, fingerprint: int, fleet: int, least: int) -> None:
        self.asked.append((which, fingerprint, least))

    def decide(self, which: int, fingerprint: int, fleet: int, cost: int) -> None:
        self.decided.append(cost)


def made(low: int = 0) -> tuple[LeasedLimit, LeaseTable, Lender]:
    region = Region.create(1, quotas=bytes_for(8))
    table = LeaseTable(region.mapping, 0, 8)
    region.close()
    lender = Lender(low)
    return LeasedLimit(table, 3, lender), table, lender


def test_credits_let_in_and_without_them_the_store_is_asked_by_one() -> None:
    limit, table, lender = made()
    table.put(KEY, NOW, EPOCH, 2)
    assert [limit.take(KEY, NOW * MS) for _ in range(4)] == [0, 0, PENDING, PENDING]
    assert lender.asked == [(3, KEY, 1)]
    assert limit.take(KEY, (NOW + 499) * MS, 4) == PENDING
    assert len(lender.asked) == 1
    assert limit.take(KEY, (NOW + 500) * MS, 4) == PENDING  # who has asked does not answer
    assert lender.asked[1:] == [(3, KEY, 4)]


def test_key_that_is_closed_is_refused_until_then() -> None:
    limit, table, lender = made()
    table.close(KEY, NOW, NOW + 100)
    assert limit.take(KEY, NOW * MS) == -100 * MS - 1
    assert limit.look(KEY, (NOW + 40) * MS) == -60 * MS - 1
    assert lender.asked == []
    assert limit.look(KEY, (NOW + 100) * MS) == PENDING


def test_look_changes_nothing_and_asks_nobody() -> None:
    limit, table, lender = made(low=100)
    assert limit.look(KEY, NOW * MS) == PENDING
    table.put(KEY, NOW, EPOCH, 2)
    assert [limit.look(KEY, NOW * MS, cost) for cost in (1, 2, 3)] == [0, 0, PENDING]
    assert table.credits(KEY, NOW) == (0, 2)
    assert lender.asked == []


def test_more_is_borrowed_while_there_is_some_left_of_the_epoch() -> None:
    limit, table, lender = made(low=3)
    table.put(KEY, NOW, EPOCH, 5)
    assert [limit.take(KEY, NOW * MS) for _ in range(2)] == [0, 0]
    assert lender.asked == []
    assert limit.take(KEY, NOW * MS) == 0
    assert lender.asked == [(3, KEY, 1)]
    # What an epoch before has left is used, and does not keep from borrowing for this one.
    table.free(KEY, NOW)
    table.put(KEY, NOW, EPOCH, 10)
    assert limit.take(KEY, (NOW + EPOCH_MS) * MS) == 0
    assert len(lender.asked) == 2


def test_without_a_lender_nobody_is_asked() -> None:
    limit, table, _ = made()
    limit.lend_by(None)
    table.put(KEY, NOW, EPOCH, 1)
    assert [limit.take(KEY, NOW * MS) for _ in range(2)] == [0, PENDING]
    assert table.ask(KEY, NOW, NOW + 1)


def test_cost_of_nothing_is_let_in() -> None:
    limit, _, _ = made()
    assert limit.take(KEY, NOW * MS, 0) == 0
