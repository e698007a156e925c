"""What a worker sees of its peers and of waiting, and that nobody is blamed while the gateway suspects itself."""

import socket
import threading
import time

import pytest
from tests.plane.harness import Plane, until
from tests.plane.serving import GET, OK, Serving, gateway

from tidegate.exchange.witness import Witness
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region, read_meters


@pytest.fixture
def region():
    made = Region.create(1)
    yield made
    made.close()


def witness_of(region):
    return Witness(region.slot(0).take_meters(), region.mapping, 0)


def counters(region):
    return read_meters(region, 0).counters


def upstream_sums(plane, name="a"):
    found = [one for one in MeterReader(plane.region.mapping).sums() if (one.kind, one.name) == ("upstream", name)]
    return found[0] if found else None


def test_different_clients_are_counted_once_a_second_each(region):
    witness = witness_of(region)
    for _ in range(3):
        for at in range(200):
            witness.saw_client(b"10.0.0.%d" % at)
    for at in range(50):
        witness.saw_client(b"10.0.0.%d" % at, failed=True)
    witness.tick(5000, ())
    seen = counters(region)
    assert 180 <= seen["clients_asked"] <= 220
    assert 45 <= seen["clients_failing"] <= 55
    witness.saw_client(b"10.0.0.1")
    witness.tick(5900, ())
    assert counters(region)["clients_asked"] == seen["clients_asked"], "the second is not over"
    witness.tick(6000, ())
    assert (counters(region)["clients_asked"], counters(region)["clients_failing"]) == (1, 0)


def test_more_clients_than_can_be_told_apart_are_many_and_no_fault(region):
    witness = witness_of(region)
    for at in range(20_000):
        witness.saw_client(at.to_bytes(4, "big"))
    witness.tick(1000, ())
    assert counters(region)["clients_asked"] > 2000


def test_longest_wait_stays_for_two_seconds(region):
    witness = witness_of(region)
    witness.saw_wait(30_000_000)
    witness.saw_wait(20_000_000)
    seen = []
    for second in range(1, 4):
        witness.tick(second * 1000, ())
        seen.append(counters(region)["queue_delay_recent_ns"])
    assert seen == [30_000_000, 30_000_000, 0]


def test_request_that_waited_for_the_loop_shows_how_long():
    with Serving(lambda peer, *_: peer.send(OK)) as server, Plane(gateway(server.address)) as plane:
        with plane.connect() as client:
            client.send(GET)
            assert client.answer().status == 200
            begun = threading.Event()
            held = threading.Thread(target=plane.call, args=(lambda: begun.set() or time.sleep(1.0),))
            held.start()
            assert begun.wait(10)
            client.send(GET)
            held.join()
            assert client.answer().status == 200
        until(lambda: plane.counters()["queue_delay_recent_ns"] > 300_000_000, "the wait is told")


def test_connection_that_rested_and_is_closed_has_not_waited():
    with Serving(lambda peer, *_: peer.send(OK)) as server, Plane(gateway(server.address)) as plane:
        with plane.connect() as client:
            client.send(GET)
            assert client.answer().status == 200
            time.sleep(1.5)
        until(lambda: plane.counters()["connections_open"] == 0, "it is closed")
        worst = []
        end = time.monotonic() + 1.2
        until(lambda: worst.append(plane.counters()["queue_delay_recent_ns"]) or time.monotonic() > end, "a second")
        assert max(worst) < 1_400_000_000


def test_request_that_waited_for_a_connection_shows_how_long():
    first = threading.Event()

    def serve(peer, line, fields, body):
        if "slow" in line:
            first.wait(10)
        peer.send(OK)

    bounds = 'pool = { max = 1, wait_timeout = "10s" }'
    with Serving(serve) as server, Plane(gateway(server.address, upstream=bounds)) as plane:
        with plane.connect() as slow, plane.connect() as waiting:
            slow.send(GET.replace(b"/ ", b"/slow ", 1))
            until(lambda: plane.counters()["upstream_open"] == 1, "one holds the connection")
            waiting.send(GET)
            until(lambda: plane.counters()["upstream_waiting"] == 1, "one waits")
            until(
                lambda: plane.counters()["pool_share_max_ppm"] == 2_000_000, "the pool is asked for twice what it has"
            )
            until(lambda: upstream_sums(plane) is not None and upstream_sums(plane).waiting == 1, "told by upstream")
            time.sleep(0.3)
            first.set()
            assert (slow.answer().status, waiting.answer().status) == (200, 200)
        until(lambda: plane.counters()["queue_delay_recent_ns"] > 250_000_000, "the wait is told")


def refusing():
    """An address where nobody listens, for as long as the socket lives."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken, f"127.0.0.1:{taken.getsockname()[1]}"


def test_endpoints_that_fail_are_counted_by_the_second_and_by_upstream():
    taken, address = refusing()
    with taken, Plane(gateway(address)) as plane:

        def is_told():
            assert plane.get().status in (502, 503)
            sums = upstream_sums(plane)
            return sums is not None and (sums.endpoints_asked, sums.endpoints_failing) == (1, 1)

        until(is_told, "one endpoint was asked, and failed")
        assert upstream_sums(plane).failures >= 1
        until(lambda: upstream_sums(plane).endpoints_asked == 0, "a second without requests asks nobody")


def test_gauges_of_an_upstream_that_is_gone_go_with_it():
    with Serving(lambda peer, *_: peer.send(OK)) as server, Plane(gateway(server.address)) as plane:
        assert plane.get().status == 200
        until(lambda: upstream_sums(plane).open == 1, "a connection is kept")
        plane.call(lambda: plane.server.context.witness.tick(2**60, ()))
        assert upstream_sums(plane).open == 0


def test_nobody_is_blamed_while_the_gateway_suspects_itself():
    taken, address = refusing()
    with taken, Plane(gateway(address)) as plane:

        def blamed():
            return plane.statistics().upstreams["a"][0].failures

        plane.region.slot(0).suspected_until_ns = time.monotonic_ns() + 60_000_000_000
        assert plane.get().status in (502, 503)
        endpoint = plane.statistics().upstreams["a"][0]
        assert (endpoint.failures, endpoint.ewma_ms, endpoint.inflight) == (0, 0.0, 0)
        assert upstream_sums(plane).failures >= 1, "it is counted all the same"
        plane.region.slot(0).suspected_until_ns = time.monotonic_ns()
        assert plane.get().status in (502, 503)
        assert blamed() >= 1


def test_round_trip_to_an_upstream_is_the_kernels():
    with Serving(lambda peer, *_: peer.send(OK)) as server, Plane(gateway(server.address)) as plane:
        with plane.connect() as client:
            client.send(GET)
            assert client.answer().status == 200
        until(lambda: upstream_sums(plane).rtt_ns > 0, "it was measured")
        assert upstream_sums(plane).rtt_ns < 1_000_000_000
        assert upstream_sums(plane).failures == 0


def test_client_that_was_cut_off_is_counted_and_one_that_hung_up_is_not():
    asked = threading.Semaphore(0)
    go_on = threading.Event()

    def serve(peer, *_):
        asked.release()
        go_on.wait(10)
        peer.send(OK)

    with Serving(serve) as server, Plane(gateway(server.address)) as plane:
        hung_up, lost = plane.connect(), plane.connect()
        hung_up.send(GET)
        assert asked.acquire(timeout=60)
        hung_up.close()
        until(lambda: plane.counters()["clients_asked"] == 1, "one client")
        until(lambda: plane.counters()["clients_asked"] == 0, "and a quiet second")
        assert plane.counters()["clients_failing"] == 0
        lost.send(GET)
        assert asked.acquire(timeout=60)
        lost.reset()
        until(lambda: plane.counters()["clients_failing"] == 1, "the reset is told")
        go_on.set()


def test_wait_of_all_to_be_read_is_the_shortest_of_several(region):
    witness = witness_of(region)
    for waits, expected in (([], 0), ([9, 9], 0), ([9, 7, 8], 7), ([0, 50, 90], 0), ([5, 6, 7, 8], 5)):
        for wait_ns in waits:
            witness.saw_read(wait_ns)
        assert witness.read_wait() == expected
