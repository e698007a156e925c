"""Records of the flight recorder's journals: packed into their room, and what is left out when there is too little."""

import pytest

from tidegate.observe.recording import (
    Event,
    Second,
    SeriesSecond,
    Stack,
    WorkerSecond,
    pack_record,
    pack_second,
    unpack_second,
)

ROOM = 8176


def second(workers=2, routes=3):
    return Second(
        unix_s=1_700_000_000.5,
        saturation=0.4,
        signals={"loop_lag": 0.4},
        workers=tuple(
            WorkerSecond(i, 1000 + 7 * i, "ready", lag_s=(i * 7919 % 1000) / 1e3, connections=i * 31, in_flight=i)
            for i in range(workers)
        ),
        routes=tuple(SeriesSecond(f"route-{i * 7919 % 1000}", 1000.5 - i, i / 7, i * 1237) for i in range(routes)),
        time_wait=12,
    )


def test_a_second_comes_back_as_it_was():
    packed = pack_second(second(), ROOM)
    assert unpack_second(packed) == second()
    assert len(packed) < 400
    assert unpack_second(pack_second(second(16, 24), ROOM)) == second(16, 24)


def test_of_a_gateway_too_large_for_the_room_the_worst_workers_and_first_series_stay():
    large = second(workers=200, routes=200)
    packed = pack_second(large, 2000)
    assert len(packed) <= 2000
    kept = unpack_second(packed)
    assert 0 < len(kept.workers) < 200
    assert max(large.workers, key=lambda one: one.lag_s) in kept.workers
    assert kept.routes == large.routes[: len(kept.routes)]
    assert kept.saturation == 0.4
    assert pack_second(large, 10) == b""


def test_what_is_no_second_is_refused():
    for packed in (b"", b"x", pack_record(Stack(1.0, 0, 1, ""), 100)):
        with pytest.raises(ValueError, match="no second"):
            unpack_second(packed)


def test_a_record_that_is_too_long_loses_its_end():
    event = Event(1.0, "worker 3", "warning", "dial_failed", "ü" * 5000)
    packed = pack_record(event, 1008)
    assert 100 < len(packed) <= 1008
    assert b"dial_failed" in packed
    assert pack_record(Stack(1.0, 0, 1, "a" * 100), 1008).count(b"a") > 100
    assert pack_record(Event(1.0, "w" * 2000, "info", "k", "m"), 1008) == b""
