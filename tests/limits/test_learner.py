"""An adaptive limit as one worker's requests meet it."""

from collections.abc import Iterator

import pytest

from tidegate.config.adaptive import Adaptive
from tidegate.limits.learner import Learner
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

S = 1_000_000_000
MS = 1_000_000
ONE = 0xABCD_0000_0001_0000
"""Some key."""


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region.create(2, 1, 1)
    yield made
    made.close()


def learner(
    region: Region, slot: int = 0, *, first: int = 3, rows: int = 2, name: str = "a", **options: object
) -> Learner:
    settings = Adaptive(**{"algorithm": "aimd", "initial": 20, "floor": 5, "samples_min": 1, **options})
    made = Learner(name, settings, region.adaptive(slot), first, rows, 10 * S)
    made.tick(10 * S)
    return made


def key(number: int) -> int:
    return number << 32 | 0xFFFF


def teach(one: Learner, fingerprint: int, at_ns: int, *, in_flight: int = 20, drop: bool = False) -> None:
    one.teach(fingerprint, at_ns, MS, in_flight, drop)


def test_workers_learn_together(region: Region) -> None:
    one, other = learner(region), learner(region, 1)
    assert (one.limit_of(ONE), other.limit_of(ONE)) == (20, 20)
    teach(one, ONE, 10 * S)
    teach(other, ONE, 10 * S)
    assert one.tick(11 * S) == 1
    assert other.tick(11 * S) == 0, "it is decided"
    assert (one.limit_of(ONE), other.limit_of(ONE)) == (21, 21)
    teach(other, ONE, 11 * S, drop=True)
    assert other.tick(12 * S) == 1
    assert one.limit_of(ONE) == 18


def test_each_key_learns_for_itself_and_what_has_no_room_is_held_to_the_initial_limit(region: Region) -> None:
    one = learner(region)
    for number in (1, 2, 3):
        assert one.limit_of(key(number)) == 20
        teach(one, key(number), 10 * S, drop=number == 2)
    assert one.crowded >= 1
    assert one.tick(11 * S) == 2
    assert [one.limit_of(key(number)) for number in (1, 2, 3)] == [21, 18, 20]


def test_a_key_that_rests_for_a_minute_gives_its_place_up(region: Region) -> None:
    one = learner(region)
    for number in (1, 2):
        one.limit_of(key(number))
        teach(one, key(number), 10 * S)
    one.tick(11 * S)
    one.tick(65 * S)
    assert one.limit_of(key(2)) == 21
    one.tick(72 * S)
    crowded = one.crowded
    assert one.limit_of(key(3)) == 20
    assert one.crowded == crowded, "it has the place of the first"
    assert one.limit_of(key(2)) == 21
    assert one.limit_of(key(1)) == 20
    assert one.crowded == crowded + 1
    # Who began under the key that was there before teaches nothing.
    teach(one, key(3), 71 * S, drop=True)
    assert one.tick(80 * S) == 0


def test_places_of_another_limit_that_was_here_are_free_at_once(region: Region) -> None:
    before = learner(region, name="before")
    for number in (1, 2):
        teach(before, key(number), 10 * S)
    assert before.tick(11 * S) == 2
    after = learner(region, name="after")
    after.tick(11 * S)
    assert [after.limit_of(key(number)) for number in (1, 2)] == [20, 20]
    assert after.crowded == 0


def test_a_new_worker_begins_with_what_was_learned(region: Region) -> None:
    one = learner(region, initial=40)
    teach(one, ONE, 10 * S, drop=True)
    one.tick(11 * S)
    assert learner(region, 1, initial=40).limit_of(ONE) == 36


def test_two_rows_for_one_key_come_together(region: Region) -> None:
    shared = region.adaptive(0)
    one, other = learner(region), learner(region, 1)
    other.limit_of(key(9))  # has the first row, which gives it up later
    assert one.limit_of(ONE) == 20  # the second
    teach(one, ONE, 10 * S, drop=True)
    one.tick(11 * S)
    assert one.limit_of(ONE) == 18
    name = shared.name(4)
    shared.seed(3, name, 11 * S, 33, b"")  # as if another worker had taken the first for it in the same moment
    one.tick(13 * S)
    other.tick(13 * S)
    assert (one.limit_of(ONE), other.limit_of(ONE)) == (33, 33)


@pytest.mark.parametrize("status", [429, 503])
def test_statuses_that_mean_overload_are_configured(region: Region, status: int) -> None:
    one = learner(region, overload=(status, 599), waiting_field="X-Queue")
    assert one.reports_waiting
    assert not learner(region).reports_waiting
    assert repr(one) == "<Learner in 2 rows from 3>"
