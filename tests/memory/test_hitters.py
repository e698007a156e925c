"""Who asks most, in bounded memory."""

import random

import pytest

from tidegate.memory.hitters import KEYS_MAX, HitterReader, Hitters, KeyFigures, leading
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

SECOND = 1_000_000_000
SHORT, LONG = 0, 1
START = 1000 * 600 * SECOND  # of a pane of each window


@pytest.fixture
def region():
    made = Region.create(slots=2, log_bytes=1 << 16, series=3)
    yield made
    made.close()


def fingerprint(number: int) -> int:
    return number * 0x9E3779B97F4A7C15 % 2**64


def keys_of(region: Region, now_ns: int, window: int, *, slots: tuple[int, ...] = (0,)) -> dict[str, KeyFigures]:
    _, keys = HitterReader(region.mapping).within([(slot, 4) for slot in slots], now_ns, window)
    return {one.key: one for one in keys}


def test_each_figure_of_a_key_is_counted(region):
    hitters = region.slot(0).take_hitters()
    hitters.record(4, fingerprint(1), b"acme", START, upstream_ns=2 * SECOND, size=100)
    hitters.record(4, fingerprint(1), b"acme", START, refusals=1, times=2)
    assert keys_of(region, START, LONG) == {"acme": KeyFigures("acme", 3, 2, 2.0, 100)}
    total, _ = HitterReader(region.mapping).within([(0, 4)], START, SHORT)
    assert total == KeyFigures("", 3, 2, 2.0, 100)


def test_workers_are_added_up_and_series_are_not(region):
    for slot in range(2):
        region.slot(slot).take_hitters().record(4, fingerprint(1), b"acme", START, times=5)
    region.slot(0).take_hitters().record(5, fingerprint(1), b"acme", START, times=100)
    assert keys_of(region, START, LONG, slots=(0, 1))["acme"].requests == 10


def test_what_is_past_leaves_its_window_bit_by_bit(region):
    hitters = region.slot(0).take_hitters()
    hitters.record(4, fingerprint(1), b"acme", START + SECOND, times=100)
    for passed_s, left in [(9, 100), (12, 80), (15, 50), (19, 10)]:
        assert keys_of(region, START + passed_s * SECOND, SHORT)["acme"].requests == pytest.approx(left)
    assert keys_of(region, START + 20 * SECOND, SHORT) == {}
    assert keys_of(region, START + 20 * SECOND, LONG)["acme"].requests == 100
    # Counting on moves the panes, and changes nothing of that.
    hitters.record(4, fingerprint(1), b"acme", START + 15 * SECOND, times=10)
    assert keys_of(region, START + 15 * SECOND, SHORT)["acme"].requests == pytest.approx(60)


def test_a_key_is_shown_with_no_more_than_was_seen_of_it(region):
    hitters = Hitters(region.mapping, 0, seed=1)
    hitters.spray(4, START, 100_000)
    _, shown = HitterReader(region.mapping).within([(0, 4)], START, LONG)
    assert len(shown) == KEYS_MAX
    assert {one.requests for one in shown} == {1}


@pytest.mark.parametrize("seed", range(1, 6))
def test_leading_keys_are_found_and_kept_under_a_spray(region, seed):
    """Ten keys have a hundredth of the requests each, all others come once; those that lead begin in the middle."""
    hitters = Hitters(region.mapping, 0, seed=seed)
    hitters.spray(4, START, 20_000)
    order = random.Random(seed)
    for at in range(20_000):
        key = order.randrange(100)
        if key < 10:
            hitters.record(4, fingerprint(10**6 + key), b"leads-%d" % key, START)
        else:
            hitters.record(4, fingerprint(2 * 10**6 + at), b"once", START)
    found = keys_of(region, START, LONG)
    leading_keys = [found[name].requests for name in found if name.startswith("leads")]
    assert len(leading_keys) == 10
    assert min(leading_keys) > 10  # of about 200 each


@pytest.mark.parametrize("seed", range(1, 6))
def test_who_takes_most_of_anything_is_found_though_he_asks_seldom(region, seed):
    hitters = Hitters(region.mapping, 0, seed=seed)
    order = random.Random(seed)
    for at in range(20_000):
        which = order.randrange(1000)
        if which == 0:
            hitters.record(4, fingerprint(1), b"slow", START, upstream_ns=2 * SECOND)
        elif which == 1:
            hitters.record(4, fingerprint(2), b"large", START, upstream_ns=SECOND // 1000, size=10**6)
        elif which == 2:
            hitters.record(4, fingerprint(3), b"refused", START, refusals=1)
        else:
            hitters.record(4, fingerprint(10 + at), b"other", START, upstream_ns=SECOND // 1000, size=100)
    found = keys_of(region, START, LONG)
    assert {"slow", "large", "refused"} <= found.keys()
    assert found["slow"].upstream_s > 10  # of about 40


def test_keys_whose_time_is_over_give_way_at_once(region):
    hitters = Hitters(region.mapping, 0, seed=1)
    for number in range(1000):
        hitters.record(4, fingerprint(number), b"old", START, times=100)
    later = START + 1300 * SECOND
    hitters.record(4, fingerprint(10**6), b"new", later)
    assert set(keys_of(region, later, LONG)) == {"new"}


def test_a_step_tells_what_was_counted_since_the_last(region):
    hitters = region.slot(0).take_hitters()
    reader = HitterReader(region.mapping)
    hitters.record(4, fingerprint(1), b"acme", START + 8 * SECOND, times=7)
    assert reader.grown([(0, 4)])[1] == [KeyFigures("acme", 7, 0, 0.0, 0)]
    hitters.record(4, fingerprint(1), b"acme", START + 9 * SECOND, times=3)
    # The pane moves on between two looks.
    hitters.record(4, fingerprint(1), b"acme", START + 10 * SECOND, times=2, upstream_ns=SECOND)
    hitters.record(4, fingerprint(2), b"beta", START + 10 * SECOND)
    total, keys = reader.grown([(0, 4)])
    assert sorted(keys) == [KeyFigures("acme", 5, 0, 2.0, 0), KeyFigures("beta", 1, 0, 0.0, 0)]
    assert total == KeyFigures("", 6, 0, 2.0, 0)
    assert reader.grown([(0, 4)]) == (KeyFigures("", 0, 0, 0.0, 0), [])


def test_a_successor_goes_on_with_what_its_slot_has(region):
    region.slot(0).take_hitters().record(4, fingerprint(1), b"acme", START)
    region.slot(0).take_hitters().record(4, fingerprint(1), b"acme", START)
    assert keys_of(region, START, LONG)["acme"].requests == 2


def test_a_series_that_found_no_place_is_counted_for_nobody(region):
    region.slot(0).take_hitters().record(1000, fingerprint(1), b"acme", START)
    with pytest.raises(IndexError):
        HitterReader(region.mapping).within([(0, 1000)], START, LONG)


def test_long_names_lose_their_end(region):
    region.slot(0).take_hitters().record(4, fingerprint(1), b"x" * 300, START)
    assert list(keys_of(region, START, LONG)) == ["x" * 84]


def test_those_that_lead_in_anything_are_chosen():
    keys = [KeyFigures(f"k{at}", 100 - at, 0, float(at), 0) for at in range(50)]
    chosen = [one.key for one in leading(keys, 3)]
    assert chosen == ["k0", "k1", "k2", "k47", "k48", "k49"]
    assert leading([], 3) == []
