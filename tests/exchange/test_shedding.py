"""Whether a worker sheds load, whose, and when it stops; with traffic, and with pressures that are made up."""

from __future__ import annotations

import json
import random
import time
from contextlib import ExitStack
from typing import Any

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.test_limits import OK, holding, slowly

from tidegate.config.shedding import Shed
from tidegate.exchange.shedding import Shedder
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

TICK_NS = 100_000_000
CLASSES = ("critical", "live", "batch")
CONFIGURED = (
    '[classes]\nnames = ["critical", "live", "batch"]\ndefault = "live"\nheader = "X-Class"\nheader_raises = true\n'
)


class Bench:
    """A shedder with a clock of its own."""

    def __init__(self, shed: Shed, classes: tuple[str, ...] = CLASSES) -> None:
        self.region = Region.create(1)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.shedder = Shedder(self.region.slot(0).take_meters(), self.say)
        self.shedder.configure(shed, classes)
        self.now_ns = 1_000_000_000
        self.chance = random.Random(5)
        self.region.close()

    def say(self, kind: str, message: str, level: str = "warning", **fields: Any) -> None:
        self.said.append((kind, fields))

    def judge(self, seconds: float, **pressures: float) -> float:
        """So long under these pressures; the level then."""
        for _ in range(round(seconds * 10)):
            self.now_ns += TICK_NS
            self.shedder.judge(self.now_ns, **pressures)
        return self.shedder.level

    def shed_of(self, rank: int, in_flight: int = 0) -> float:
        """The part of a thousand requests that is shed."""
        return sum(self.shedder.asks(rank, in_flight, self.chance.getrandbits(64)) for _ in range(1000)) / 1000

    def counted(self) -> dict[str, tuple[int, ...]]:
        reader = MeterReader(self.region.mapping)
        places = {name: where for (kind, name), where in reader.places().items() if kind == "shed" and name != "other"}
        return {name: reader.read("shed", name, where).classes[:3] for name, where in places.items()}


def test_least_important_class_is_shed_first_and_more_as_long_as_it_goes_on() -> None:
    bench = Bench(Shed(loop_lag=0.1))
    bench.judge(0.1)
    assert [bench.shed_of(rank) for rank in range(3)] == [0, 0, 0]
    assert bench.judge(0.5, loop_lag=1.0) == pytest.approx(0.5)
    assert [bench.shed_of(rank) for rank in (0, 1)] == [0, 0]
    assert 0.4 < bench.shed_of(2) < 0.6
    assert bench.judge(1.0, loop_lag=1.2) == pytest.approx(1.7)
    assert (bench.shed_of(0), bench.shed_of(2)) == (0, 1)
    assert 0.6 < bench.shed_of(1) < 0.8
    assert bench.judge(10, loop_lag=5.0) == 3
    assert [bench.shed_of(rank) for rank in range(3)] == [1, 1, 1]
    counted = bench.counted()
    assert counted["critical"] == (1000, 0, 0)
    assert counted["batch"][0] > 2300


def test_it_rises_by_the_worst_and_faster_where_it_is_twice_too_much() -> None:
    bench = Bench(Shed(loop_lag=0.1, memory="1MiB", in_flight=10))
    bench.judge(0.1)
    assert bench.judge(0.5, loop_lag=0.2, memory=2.0, in_flight=1.0) == pytest.approx(1.0)
    assert bench.shed_of(2) == 1
    assert bench.counted() == {"batch": (0, 1000, 0)}
    assert bench.judge(0.5, memory=9.0) == pytest.approx(2.0)


def test_it_stays_between_the_bounds_and_ends_below_them_so_that_it_does_not_flap() -> None:
    bench = Bench(Shed(loop_lag=0.1))
    bench.judge(0.1)
    assert bench.judge(1.0, loop_lag=1.0) == pytest.approx(1.0)
    assert bench.judge(10.0, loop_lag=0.9) == pytest.approx(1.0)
    assert bench.judge(1.0, loop_lag=0.5) == pytest.approx(0.5)
    assert bench.judge(2.0, loop_lag=0.5) == 0
    assert bench.shed_of(2) == 0


def test_change_of_state_is_said_once() -> None:
    bench = Bench(Shed(loop_lag=0.1))
    bench.judge(0.1)
    bench.judge(0.3, loop_lag=1.5)
    bench.judge(3, loop_lag=0.1)
    assert bench.said == [], "nobody was refused"
    for _ in range(3):
        bench.judge(1.0, loop_lag=1.5)
        assert bench.shed_of(2) == 1
        bench.judge(4.0, loop_lag=0.1)  # two until it is over, two of five that it has to stay so
    assert [kind for kind, _ in bench.said] == ["shedding_began"]
    assert bench.said[0][1] == {"reason": "loop_lag"}
    bench.judge(5.0)
    assert [kind for kind, _ in bench.said] == ["shedding_began", "shedding_ended"]
    assert bench.said[1][1] == {"refused": 3000}


def test_one_late_turn_refuses_hardly_anybody() -> None:
    bench = Bench(Shed(loop_lag=0.1))
    for late_s in (0, 0, 3.0, 0, 0, 0):
        bench.now_ns += TICK_NS + round(late_s * 1e9)
        bench.shedder.tick(bench.now_ns, 0.0, 1)
        assert bench.shedder.level <= 0.41
    bench.judge(1.0)
    assert bench.shedder.level == 0


def test_requests_that_all_waited_to_be_read_are_a_late_loop() -> None:
    bench = Bench(Shed(loop_lag=0.1))
    for _ in range(10):
        bench.now_ns += TICK_NS
        bench.shedder.tick(bench.now_ns, 0.15, 1)
    assert bench.shedder.level > 0.8


def test_beyond_what_may_be_in_flight_the_last_class_is_refused_at_once() -> None:
    bench = Bench(Shed(in_flight=10))
    assert [bench.shed_of(rank, 10) for rank in range(3)] == [0, 0, 0]
    assert [bench.shed_of(rank, 11) for rank in range(3)] == [0, 0, 1]
    bench.now_ns += TICK_NS
    bench.shedder.tick(bench.now_ns, 0.0, 3)
    assert bench.said == [("shedding_began", {"reason": "in_flight"})]
    for in_flight, level in ((10, 0), (11, 0.1), (10, 0.1), (22, 0.3), (3, 0.25)):
        bench.now_ns += TICK_NS
        bench.shedder.tick(bench.now_ns, 0.0, in_flight)
        assert bench.shedder.level == pytest.approx(level), in_flight
    assert bench.counted() == {"batch": (0, 0, 1000)}
    alone = Bench(Shed(in_flight=10), ())
    assert [alone.shed_of(0, in_flight) for in_flight in (10, 11)] == [0, 1]
    assert alone.counted() == {"all": (0, 0, 1000)}


def test_memory_beyond_its_bound_sheds() -> None:
    bench = Bench(Shed(memory="1MiB"))
    for _ in range(12):
        bench.now_ns += TICK_NS
        bench.shedder.tick(bench.now_ns, 0.0, 0)
    assert bench.shedder.level > 0.9
    bench.shedder.configure(Shed(memory="1TiB"), CLASSES)
    for _ in range(60):
        bench.now_ns += TICK_NS
        bench.shedder.tick(bench.now_ns, 0.0, 0)
    assert bench.shedder.level == 0


def test_without_bounds_nobody_is_shed() -> None:
    bench = Bench(Shed())
    for _ in range(20):
        bench.now_ns += 50 * TICK_NS
        bench.shedder.tick(bench.now_ns, 60.0, 1_000_000)
    assert [bench.shed_of(rank, 1_000_000) for rank in range(3)] == [0, 0, 0]


# -- with traffic ------------------------------------------------------------------------------------------------------


def shed(plane: Plane) -> dict[str, tuple[int, ...]]:
    reader = MeterReader(plane.region.mapping)
    places = {name: where for (kind, name), where in reader.places().items() if kind == "shed" and name != "other"}
    return {name: reader.read("shed", name, where).classes[:3] for name, where in places.items()}


def test_who_is_shed_is_told_to_come_again_and_its_connection_goes_on() -> None:
    text = '[shed]\nin_flight = 2\n[limits.two]\nrate = "1/d"\nburst = 1\n'
    with Upstream() as slow, slowly(slow, text) as plane, plane.connect() as client:
        with holding(plane, slow, 2) as pairs:
            for _ in range(2):
                body = b"hello"
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                refused = client.answer()
                assert (refused.status, refused.get("Retry-After")) == (503, "2")
                assert refused.get("Proxy-Status") == 'tidegate; error=http_request_denied; details="overloaded"'
                told = json.loads(refused.body)
                assert (told["type"], told["status"]) == ("urn:tidegate:overloaded", 503)
                assert len(told["request_id"]) == 32
            for one, server in pairs:
                server.send(OK)
                assert one.answer().status == 200
        until(lambda: plane.statistics().exchanges == 0, "they have ended")
        # It was charged to nobody: both that the limit allows have passed, and the next one meets the limit.
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer().status == 429
        assert shed(plane) == {"all": (0, 0, 2)}
        records = plane.log_records(5)
        refusals = [record for record in records if record["status"] == 503]
        assert [(record["error"], record["detail"], record["route"]) for record in refusals] == [
            ("http_request_denied", "overloaded", "all")
        ] * 2
        until(lambda: plane.error_log.kinds() == ["shedding_began"], "it is said, once")


def test_classes_are_shed_by_their_importance_and_what_is_under_way_goes_on() -> None:
    route = 'path = "/held"\n[[routes]]\nname = "fixed"\nrespond = {}\n'
    with (
        Upstream() as slow,
        slowly(slow, CONFIGURED + "[shed]\nin_flight = 2\n", route) as plane,
        ExitStack() as opened,
    ):

        def hold() -> tuple[Peer, Peer]:
            client = opened.enter_context(plane.connect())
            client.send(b"GET /held HTTP/1.1\r\nHost: a\r\nX-Class: live\r\n\r\n")
            server = opened.enter_context(slow.accept())
            server.request()
            return client, server

        def status(name: str) -> int:
            return plane.get("/", f"X-Class: {name}\r\n").status

        held = [hold(), hold()]
        assert [status(name) for name in CLASSES] == [200, 200, 503]
        held.append(hold())
        until(lambda: status("live") == 503, "more is shed, as there is one more than there may be")
        assert shed(plane)["batch"] == (0, 0, 1)
        assert plane.call(lambda: plane.server.context.shedder.level) > 1
        for client, server in held:
            server.send(OK)
            assert client.answer().status == 200


def test_loop_that_is_held_again_and_again_is_late() -> None:
    with Plane('[shed]\nloop_lag = "20ms"\n[[routes]]\nname = "fixed"\nrespond = {}\n') as plane:
        assert plane.get().status == 200

        def is_shed() -> bool:
            plane.call(lambda: time.sleep(0.15))
            return plane.get().status == 503

        until(is_shed, "some are refused")
        assert set(shed(plane)) == {"all"}
        assert shed(plane)["all"][1:] == (0, 0), "nothing but the lag of the loop"
        until(lambda: plane.get().status == 200, "it is on time again")
