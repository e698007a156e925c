"""Rates in cells: what passes, what waits, what is given back, what is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.rates import NEVER, RateTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

SETS = 64
NOW = 10**12
S = 10**9


def table(sets: int = SETS) -> RateTable:
    region = Region.create(1, 1, 1, rates=bytes_for(sets))
    made = RateTable(region.mapping, 0, sets)
    region.close()
    return made


def fingerprint(key: int) -> int:
    """Spread over all bits, as a hash is."""
    return ((key + 1) * 0x9E3779B97F4A7C15 ^ (key + 7) * 0xD1B54A32D192ED03 >> 9) % 2**64 or 1


def test_of_many_at_once_burst_and_one_pass_each_in_its_turn():
    rates = table()
    interval, tolerance = S // 200, S // 2
    waits = [rates.charge(7 << 40, NOW, interval, tolerance) for _ in range(101)]
    assert waits == [k * interval for k in range(101)]
    assert rates.peek(7 << 40, NOW, interval, tolerance) == -interval
    assert rates.charge(7 << 40, NOW, interval, tolerance) == -interval, "refused, and not in 5 ms any more"
    assert rates.charge(7 << 40, NOW + interval - 1, interval, tolerance) == -1
    assert rates.charge(7 << 40, NOW + interval, interval, tolerance) == tolerance


def test_a_refused_request_and_a_look_change_nothing():
    rates = table()
    assert rates.charge(1 << 40, NOW, S, 0) == 0
    for _ in range(5):
        assert rates.charge(1 << 40, NOW + S - 10, S, 0) == -10
        assert rates.peek(1 << 40, NOW + S - 10, S, 0) == -10
    assert rates.peek(1 << 40, NOW + S, S, 0) == 0
    assert rates.charge(1 << 40, NOW + S, S, 0) == 0


def test_who_looks_at_a_new_key_leaves_no_trace():
    rates = table(sets=2)
    assert all(rates.peek(fingerprint(key), NOW, S, 0) == 0 for key in range(100))
    assert all(rates.charge(fingerprint(key), NOW, 0, 0) == 0 for key in range(100)), "a cost of nothing"
    assert all(not rates.refund(fingerprint(key), NOW, S, NOW + S) for key in range(100))
    assert [rates.charge(fingerprint(key), NOW, S, 0) for key in range(16)] == [0] * 16
    assert rates.evictions == 0


def test_nobody_passes_a_rate_of_nothing_or_a_cost_beyond_all_bounds():
    rates = table()
    assert rates.charge(1 << 40, NOW, S, -1) == rates.peek(1 << 40, NOW, S, -1) == NEVER
    assert rates.charge(1 << 40, NOW, 2**63 - 1, 2**63 - 1) == NEVER
    assert rates.charge(1 << 40, NOW, 2**62 - NOW, 2**63 - 1) == 0
    assert rates.charge(1 << 40, NOW, 1, 2**63 - 1) == NEVER, "what is charged would lie beyond what can be told"
    assert rates.charge(1 << 40, NOW, 1, 0) < 0


def test_a_charge_that_is_given_back_at_once_never_was():
    rates = table()
    assert rates.charge(1 << 40, NOW, S, S) == 0
    before = rates.peek(1 << 40, NOW, S, S)
    assert rates.charge(1 << 40, NOW, S, S) == S
    assert rates.refund(1 << 40, NOW, S, NOW + 2 * S)
    assert rates.peek(1 << 40, NOW, S, S) == before
    assert rates.refund(1 << 40, NOW, S, NOW + S)
    assert rates.peek(1 << 40, NOW, S, S) == 0
    assert not rates.refund(1 << 40, NOW, S, NOW + S), "there is nothing left"
    assert rates.peek(1 << 40, NOW, S, S) == 0


def test_a_turn_is_given_back_by_who_has_the_last():
    rates = table()
    assert [rates.charge(1 << 40, NOW, S, 2 * S) for _ in range(3)] == [0, S, 2 * S]
    assert not rates.retract(1 << 40, S, NOW + 2 * S)
    assert rates.peek(1 << 40, NOW, S, 2 * S) == -S
    assert rates.retract(1 << 40, S, NOW + 3 * S)
    assert rates.retract(1 << 40, S, NOW + 2 * S), "now it is the last"
    assert rates.peek(1 << 40, NOW, S, 2 * S) == S
    assert not rates.retract(2 << 40, S, NOW + S)


def test_of_a_charge_is_given_back_what_is_ahead_of_now():
    rates = table()
    assert rates.charge(1 << 40, NOW, S, 0) == 0
    assert rates.charge(1 << 40, NOW + S // 4, S, S) == 3 * S // 4
    assert rates.refund(1 << 40, NOW + S // 4, S, NOW + S)
    assert rates.peek(1 << 40, NOW + S // 4, S, S) == S
    assert not rates.refund(1 << 40, NOW + S, S, NOW + S), "used up, though the cell is not"


def test_what_has_expired_is_not_given_back():
    rates = table()
    rates.charge(1 << 40, NOW, S, 0)
    assert not rates.refund(1 << 40, NOW + S, S, NOW + S)
    assert rates.charge(1 << 40, NOW + S, S, 0) == 0


def test_an_evicted_cell_is_given_back_to_nobody():
    rates = table(sets=2)
    rates.charge(fingerprint(0), NOW, S, 0)
    for key in range(1, 17):
        rates.charge(fingerprint(key), NOW, 10 * S, 0)
    assert rates.evictions == 1
    assert not rates.refund(fingerprint(0), NOW, S, NOW + S)
    assert all(rates.peek(fingerprint(key), NOW, S, 0) == -10 * S for key in range(1, 17))


def test_in_a_full_table_the_cell_that_expires_first_goes():
    rates = table(sets=2)
    for key in range(16):
        rates.charge(fingerprint(key), NOW, (16 - key) * S, 0)
    for new, oldest in zip(range(16, 24), range(15, 7, -1), strict=True):
        assert rates.charge(fingerprint(new), NOW, 100 * S, 0) == 0
        assert rates.peek(fingerprint(oldest), NOW, S, 0) == 0, "forgotten"
    assert rates.evictions == 8
    assert all(rates.peek(fingerprint(key), NOW, S, 0) < 0 for key in range(8))


def test_expired_cells_are_room_for_others():
    rates = table(sets=2)
    for turn in range(50):
        for key in range(16):
            assert rates.charge(fingerprint(16 * turn + key), NOW + turn * S, S, 0) == 0
    assert rates.evictions == 0


def test_a_spray_of_keys_on_one_limit_changes_nothing_for_another():
    region = Region.create(1, 1, 1, rates=bytes_for(8) * 2)
    sprayed, other = (RateTable(region.mapping, offset, 8) for offset in (0, bytes_for(8)))
    region.close()
    admitted = 0
    for k in range(20_000):
        now = NOW + k * 1_000_000
        sprayed.charge(fingerprint(k), now, 3600 * S, 0)
        admitted += other.charge(fingerprint(7), now, S // 100, S // 2) >= 0
    assert sprayed.evictions == 20_000 - 64
    assert other.evictions == 0
    assert admitted == 50 + 20_000 // 10


def test_twenty_bytes_a_live_key_are_enough():
    keys = 40_000
    rates = table(sets=keys * 20 // 128)
    for key in range(keys):
        rates.charge(fingerprint(key), NOW, S, 0)
    assert rates.evictions <= keys // 1000


def test_two_views_are_one_table():
    region = Region.create(1, 1, 1, rates=bytes_for(SETS))
    one, other = (RateTable(Region.attach(region.fd).mapping, 0, SETS) for _ in range(2))
    region.close()
    assert [view.charge(fingerprint(1), NOW, S, 2 * S) for view in (one, other, one, other)] == [0, S, 2 * S, -S]
    assert other.refund(fingerprint(1), NOW, S, NOW + 3 * S)
    assert one.peek(fingerprint(1), NOW, S, 2 * S) == 2 * S


def test_a_table_over_what_was_another_limits_counts_as_in_fresh_memory():
    region = Region.create(1, 1, 1, rates=bytes_for(SETS))
    before = RateTable(region.mapping, 0, SETS)
    after = RateTable(region.mapping, 3 * 128, 20)  # its header is a set of the other's
    region.close()
    for key in range(1000, 2000):
        before.charge(fingerprint(key), NOW, 3600 * S, 0)
    for key in range(40):
        passed = [after.charge(fingerprint(key), NOW, 10**6 * S, 4 * 10**6 * S) >= 0 for _ in range(6)]
        assert passed == [True] * 5 + [False]
        before.charge(fingerprint(3000 + key), NOW, 3600 * S, 0)  # by a worker that is still at the snapshot before


class Bucket:
    """The same arithmetic with a dictionary, for one process that never runs out of room."""

    def __init__(self) -> None:
        self.arrivals: dict[int, int] = {}

    def charge(self, key: int, now: int, emission: int, tolerance: int) -> int:
        wait = max(self.arrivals.get(key, 0) - now, 0)
        if wait > tolerance:
            return tolerance - wait
        self.arrivals[key] = now + wait + emission
        return wait

    def refund(self, key: int, now: int, emission: int, arrival: int) -> bool:
        left = min(emission, arrival - now)
        is_live = left > 0 and self.arrivals.get(key, 0) > now
        if is_live:
            self.arrivals[key] = max(self.arrivals[key] - left, 0)
        return is_live

    def retract(self, key: int, emission: int, arrival: int) -> bool:
        is_last = self.arrivals.get(key) == arrival
        if is_last:
            self.arrivals[key] = arrival - emission
        return is_last


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["charge", "charge", "charge", "refund", "retract"]),
        st.integers(0, 5),
        st.integers(0, 3 * S),  # passes before it
        st.integers(1, 2 * S),
        st.integers(0, 5 * S),
    ),
    max_size=60,
)


@given(STEPS)
def test_any_sequence_is_answered_as_by_plain_arithmetic(steps):
    rates, plain, now = table(), Bucket(), NOW
    for step, key, passed, emission, tolerance in steps:
        now += passed
        if step == "charge":
            expected = plain.charge(key, now, emission, tolerance)
            assert rates.peek(fingerprint(key), now, emission, tolerance) == expected
            assert rates.charge(fingerprint(key), now, emission, tolerance) == expected
        elif step == "refund":
            arrival = now + tolerance
            assert rates.refund(fingerprint(key), now, emission, arrival) == plain.refund(key, now, emission, arrival)
        else:
            arrival = plain.arrivals.get(key, now) + tolerance % 2  # mostly of the last, or not
            assert rates.retract(fingerprint(key), emission, arrival) == plain.retract(key, emission, arrival)
