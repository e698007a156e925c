"""Places of limits in shared memory: never two at one place, kept over reloads, and no more than there is."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.adaptive import Adaptive
from tidegate.config.allotment import SET_BYTES, Place, allot, room_of
from tidegate.config.limits import Limit
from tidegate.memory.tables import bytes_for

MEMORY = 1 << 20
SETS = room_of(MEMORY)["rates"] // SET_BYTES
BLOCKS = room_of(MEMORY)["inflight_blocks"]


def keyed(keys: int) -> Limit:
    return Limit(rate="1/s", key=("client.ip",), keys=keys)


NAMES = st.sampled_from([f"limit{number}" for number in range(8)])
SOME = st.dictionaries(NAMES, st.sampled_from([64, 100, 1000, 5000, 12_000]).map(keyed), max_size=8)


@given(st.lists(SOME, max_size=6))
def test_places_never_overlap_and_are_kept(configurations: list[dict[str, Limit]]) -> None:
    places: dict[str, Place] = {}
    before: dict[str, Limit] = {}
    for limits in configurations:
        after, without = allot(places, limits, MEMORY)
        assert after.keys() | set(without) == limits.keys()
        used = [at for place in after.values() for at in range(place.at, place.at + place.units)]
        assert len(used) == len(set(used))
        assert max(used, default=0) < SETS
        for name in after.keys() & places.keys():
            if limits[name] == before[name]:
                assert after[name] == places[name]
        places, before = after, limits


def test_tables_are_as_large_as_their_keys_need() -> None:
    places, without = allot({}, {"all": Limit(rate="1/s"), "each": keyed(1000)}, MEMORY)
    assert without == []
    assert places == {"each": Place("rates", 0, 158), "all": Place("rates", 158, 3)}
    # A table is its head and its sets: 20 bytes a key, in sets of 128, and at least two.
    assert bytes_for(157) == 158 * SET_BYTES
    assert 157 * SET_BYTES >= 1000 * 20 > 156 * SET_BYTES


def test_each_kind_has_a_section_of_its_own() -> None:
    limits = {
        "rate": Limit(rate="1/s"),
        "quota": Limit(quota=5, window=60.0),
        "one": Limit(concurrency=5),
        "keyed": Limit(concurrency=5, key=("path",), keys=500),
    }
    places, without = allot({}, limits, MEMORY)
    assert without == []
    # Of rows there are twice as many as keys, in blocks of eight, which are a power of two.
    assert places == {
        "rate": Place("rates", 0, 3),
        "quota": Place("quotas", 0, 3),
        "keyed": Place("inflight", 0, 128),
        "one": Place("inflight", 128, 1),
    }
    assert allot({}, {"huge": Limit(concurrency=1, key=("path",), keys=BLOCKS * 8)}, MEMORY) == ({}, ["huge"])


def test_limit_that_becomes_another_kind_is_placed_anew() -> None:
    before, _ = allot({}, {"a": Limit(rate="1/s")}, MEMORY)
    after, _ = allot(before, {"a": Limit(quota=1, window=1.0)}, MEMORY)
    assert after["a"].section == "quotas"


def test_limit_without_room_is_named_and_takes_nothing_from_others() -> None:
    places, without = allot({}, {"large": keyed(1 << 24), "small": keyed(64)}, MEMORY)
    assert without == ["large"]
    assert places.keys() == {"small"}


def test_more_keys_are_another_place() -> None:
    before, _ = allot({}, {"a": keyed(64)}, MEMORY)
    after, _ = allot(before, {"a": keyed(6400)}, MEMORY)
    assert after["a"].units > before["a"].units


def test_place_outside_of_the_memory_is_not_kept() -> None:
    after, _ = allot({"a": Place("rates", SETS * 4, 16)}, {"a": keyed(100)}, MEMORY)
    assert after["a"].at == 0


def test_adaptive_limits_have_rows_to_learn_in_of_their_own_and_keep_them() -> None:
    limits = {
        "one": Limit(adaptive=Adaptive()),
        "many": Limit(adaptive=Adaptive(keys=100), key=("path",), keys=64),
        "fixed": Limit(concurrency=5),
    }
    places, without = allot({}, limits, MEMORY)
    assert without == []
    assert {name: (one.learns_at, one.learners) for name, one in places.items()} == {
        "one": (100, 1),
        "many": (0, 100),
        "fixed": (-1, 0),
    }
    more = {"new": Limit(adaptive=Adaptive(keys=100), key=("path",), keys=64), "one": limits["one"], **limits}
    grown, without = allot(places, more, MEMORY)
    assert without == []
    assert {name: grown[name] for name in limits} == places
    assert grown["new"].learns_at == 101
    _, without = allot(grown, {**more, "last": more["new"]}, MEMORY)
    assert without == ["last"]


def test_what_a_fleet_lends_has_a_table_beside_the_rows_and_shares_it_with_nobody() -> None:
    fleet = {"scope": "fleet", "store": "main"}
    limits = {
        "quota": Limit(quota=5, window=60.0),
        "leased": Limit(rate="1/s", key=("path",), keys=64, **fleet),
        "one": Limit(concurrency=5, **fleet),
        "keyed": Limit(concurrency=5, key=("path",), keys=500, **fleet),
    }
    places, without = allot({}, limits, MEMORY)
    assert without == []
    assert {name: (one.section, one.units, one.grants) for name, one in places.items()} == {
        "quota": ("quotas", 3, 0),
        "leased": ("quotas", 1 + 50, 0),
        "one": ("inflight", 1, 3),
        "keyed": ("inflight", 128, 1 + 235),
    }
    parts = [(places[name].at, places[name].units) for name in ("quota", "leased")]
    parts += [(places[name].grants_at, places[name].grants) for name in ("one", "keyed")]
    taken = [at for begin, length in parts for at in range(begin, begin + length)]
    assert len(taken) == len(set(taken))
    # Who becomes a fleet's limit counts anew; who stays one goes on.
    after, _ = allot(places, limits | {"quota": Limit(concurrency=5, **fleet)}, MEMORY)
    assert after["keyed"] == places["keyed"]
    assert after["quota"].grants == 3
