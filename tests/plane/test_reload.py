"""Another snapshot while exchanges run: what ends on the old one, what goes to the new one, and what is left behind."""

from __future__ import annotations

import gc
import socket
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import trustme
from tests.plane.client_side import at_rest
from tests.plane.footprint import footprint, grown_since
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.reload_filters import CLOSED
from tests.plane.serving import GET, OK, gateway, idle
from tests.plane.test_websocket import upgraded

from tidegate.errors import GatewayError
from tidegate.exchange.plan import Plan

pytestmark = pytest.mark.sanitize

HERE = '[[routes]]\nname = "here"\nrespond = {{ body = "{}" }}\n'


def answer_of(client: Peer, path: str = "/") -> str:
    client.send(f"GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode())
    return client.answer().body.decode()


def held(plane: Plane) -> int:
    return plane.statistics().snapshots


# -- who is served by what ---------------------------------------------------------------------------------------------


def test_kept_alive_connection_has_the_new_snapshot_at_its_next_request() -> None:
    with Plane(HERE.format("old")) as plane, plane.connect() as client:
        assert answer_of(client) == "old"
        number = plane.prepare(HERE.format("new"))
        assert answer_of(client) == "old"
        plane.switch(number)
        assert answer_of(client) == "new"
        assert held(plane) == 1


def test_worker_that_nobody_asks_switches_too() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
            plane.switch(plane.prepare(HERE.format("new")))
            # Without a request: the pool of a server that is no longer in the configuration is closed.
            assert server.is_closed()
        until(lambda: held(plane) == 1, "the old snapshot is gone")
        assert plane.statistics().pools == ()


def test_number_in_the_word_that_was_never_prepared_changes_nothing() -> None:
    with Plane(HERE.format("old")) as plane, plane.connect() as client:
        plane.region.snapshot_number = 7
        assert answer_of(client) == "old"
        plane.prepared.append(6)
        plane.prepare(HERE.format("new"))
        assert answer_of(client) == "new"


def test_pipelined_requests_are_each_served_by_what_is_active_when_they_begin() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET * 5)
        with upstream.accept() as server:
            server.request()
            plane.reload(HERE.format("new"))
            server.send(OK)
            assert [client.answer().body for _ in range(5)] == [b"ok", b"new", b"new", b"new", b"new"]
        client.close()
        at_rest(plane)


def test_exchange_in_flight_finishes_on_what_it_began_with() -> None:
    old = '[filters.mark]\nclass = "tests.plane.reload_filters:Marked"\nword = "{}"\n'
    server = 'filter_packages = ["tests"]'
    log = '[access_log]\nformat = "{{route}} {{status}} {}"\n'
    with Upstream() as upstream:

        def text(word: str) -> str:
            route = f'filters = ["mark"]\nresponse_headers = {{ set = {{ "X-Snapshot" = "{word}" }} }}'
            return old.format(word) + log.format(word) + gateway(upstream.address, route=route)

        with Plane(text("one"), server=server) as plane, plane.connect() as client, plane.connect() as other:
            client.send(GET)
            with upstream.accept() as first:
                first.request()
                plane.reload(text("two"), server=server)
                assert held(plane) == 2
                other.send(GET)
                with upstream.accept() as second:
                    second.request()
                    second.send(OK)
                    answer = other.answer()
                    assert (answer.get("X-Snapshot"), answer.get("X-Mark")) == ("two", "two")
                first.send(OK)
                answer = client.answer()
                assert (answer.get("X-Snapshot"), answer.get("X-Mark")) == ("one", "one")
            assert sorted(plane.log_lines(2)) == ["all 200 one", "all 200 two"]
            until(lambda: held(plane) == 1, "the old snapshot is gone")


def test_bodies_stream_both_ways_across_reloads() -> None:
    pieces = 40
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        size = pieces * 5000
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        with upstream.accept() as server:
            server.head()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            client.head()
            for piece in range(pieces):
                if piece % 4 == 0:
                    plane.reload(gateway(upstream.address, upstream=f'read_timeout = "{piece + 5}s"'))
                client.send(bytes([piece]) * 5000)
                assert server.exactly(5000) == bytes([piece]) * 5000
                server.send(bytes([255 - piece]) * 5000)
                assert client.exactly(5000) == bytes([255 - piece]) * 5000
        client.close()
        at_rest(plane)
        until(lambda: held(plane) == 1, "the old snapshots are gone")


def test_websocket_lives_through_twenty_reloads() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            for turn in range(20):
                # Its upstream comes and goes, with all that belongs to it.
                plane.reload(HERE.format(turn) if turn % 2 else gateway(upstream.address, route='timeout = "9s"'))
                client.send(b"to and")
                assert server.exactly(6) == b"to and"
                server.send(b"fro")
                assert client.exactly(3) == b"fro"
                assert plane.get().body == b"%d" % turn if turn % 2 else True
            assert held(plane) == 2, "the one of the socket, and the active one"
        until(lambda: held(plane) == 1, "nothing is left of the snapshot that it began with")
        until(plane.is_at_rest, "at rest")
        assert "gateway_fault" not in plane.error_log.kinds()


# -- pools, endpoints, names -------------------------------------------------------------------------------------------


def test_connections_to_unchanged_servers_are_used_on() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
            # The same settings, others, and the same server under another name of an upstream.
            for text in (
                gateway(upstream.address),
                gateway(upstream.address, upstream='read_timeout = "7s"'),
                gateway(upstream.address)
                .replace("upstreams.a", "upstreams.b")
                .replace('upstream = "a"', 'upstream = "b"'),
            ):
                plane.reload(text)
                client.send(GET)
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
        (pool,) = plane.statistics().pools
        assert (pool.dialled, pool.reused) == (1, 3)


def test_bounds_of_a_pool_change_with_the_switch_and_not_before() -> None:
    with Upstream() as upstream, ExitStack() as stack:
        plane = stack.enter_context(Plane(gateway(upstream.address)))
        clients = [stack.enter_context(plane.connect()) for _ in range(4)]
        for client in clients:
            client.send(GET)
        servers = [stack.enter_context(upstream.accept()) for _ in clients]
        for server in servers:
            server.request()
            server.send(OK)
        for client in clients:
            client.answer()
        until(lambda: idle(plane) == 4, "they rest")
        number = plane.prepare(gateway(upstream.address, upstream="pool = { max = 9, idle = 1 }"))
        assert plane.statistics().pools[0].max_open == 512
        plane.switch(number)
        until(lambda: idle(plane) == 1, "the bound on resting connections is kept")
        assert plane.statistics().pools[0].max_open == 9


def test_exchange_that_waits_in_the_pool_of_a_removed_upstream_is_served() -> None:
    with Upstream() as upstream:
        text = gateway(upstream.address, upstream='pool = { max = 1, wait_timeout = "20s" }')
        with Plane(text) as plane, plane.connect() as first, plane.connect() as second:
            first.send(GET)
            with upstream.accept() as server:
                server.request()
                second.send(GET)
                until(lambda: plane.statistics().pools[0].waiting == 1, "the second waits")
                plane.reload(HERE.format("new"))
                server.send(OK)
                assert first.answer().body == b"ok"
                assert server.is_closed()
                with upstream.accept() as again:
                    again.request()
                    again.send(OK)
                    assert second.answer().body == b"ok"
                    assert again.is_closed()
            for client in (first, second):
                assert answer_of(client) == "new"
            until(lambda: plane.statistics().pools == (), "no pool is left")
            until(lambda: held(plane) == 1, "nor the snapshot")


def test_what_is_known_of_a_server_stays_known_when_its_upstream_changes() -> None:
    with Upstream() as one, Upstream() as two:
        text = gateway(one.address, two.address, upstream='balance = "round_robin"')
        with Plane(text) as plane, plane.connect() as client:
            for _ in range(5):
                client.send(GET)
                upstream = one if plane.statistics().upstreams["a"][0].inflight else two
                with upstream.accept() as server:
                    server.request()
                    server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                    client.answer()
            before = plane.statistics().upstreams["a"]
            plane.reload(text + "\n# the same\n")
            assert plane.statistics().upstreams["a"] == before
            plane.reload(text.replace("round_robin", "least_request"))
            assert plane.statistics().upstreams["a"] == before
            plane.reload(text.replace(f'"{one.address}"', f'{{ address = "{one.address}", weight = 3 }}'))
            first, second = plane.statistics().upstreams["a"]
            assert (first.weight, first.ewma_ms, second) == (3.0, before[0].ewma_ms, before[1])


# -- listeners and the rest of the configuration -----------------------------------------------------------------------


def test_options_of_a_listener_change_for_connections_that_are_there() -> None:
    with Plane(HERE.format("x")) as plane, plane.connect() as client:
        assert answer_of(client) == "x"
        plane.reload(HERE.format("x"), listener='max_body = "10B"\nidle_timeout = "200ms"')
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n12345678901")
        assert client.answer().status == 413
        with plane.connect() as other:
            assert answer_of(other) == "x"
            assert other.is_closed(), "it rested for longer than it may now"


def test_bounds_on_connections_change_both_ways() -> None:
    with ExitStack() as stack:
        plane = stack.enter_context(Plane(HERE.format("x")))
        clients = [stack.enter_context(plane.connect()) for _ in range(3)]
        assert [answer_of(client) for client in clients] == ["x"] * 3
        plane.reload(HERE.format("x"), server="max_connections_per_address = 3")
        with plane.connect() as one_more:
            assert one_more.is_closed(), "those that were there are counted"
        clients.pop().close()
        until(lambda: plane.statistics().connections == 2, "one has left")
        clients.append(stack.enter_context(plane.connect()))
        assert answer_of(clients[-1]) == "x"
        plane.reload(HERE.format("x"), server="max_connections = 3")
        waiting = stack.enter_context(plane.connect())
        waiting.send(GET)
        until(lambda: plane.counters()["accept_pauses_full"] > 0, "it is found to be one too many")
        plane.reload(HERE.format("x"), server="max_connections = 30")
        assert waiting.answer().body == b"x"


def test_trusted_proxies_change_for_connections_that_are_there() -> None:
    log = '[access_log]\nformat = "{client}"\n'
    asks = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    with Plane(log + HERE.format("x")) as plane, plane.connect() as client:
        for server in ("", 'trusted_proxies = ["127.0.0.0/8"]', ""):
            plane.reload(log + HERE.format("x"), server=server)
            client.send(asks)
            client.answer()
        assert plane.log_lines(3) == ["127.0.0.1", "192.0.2.7", "127.0.0.1"]


def test_certificates_change_for_new_connections(tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    for name in ("one", "two"):
        certificate = authority.issue_cert(f"{name}.test")
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))

    def listener(name: str) -> str:
        return f'tls.certificates = [{{ cert = "{tmp_path}/{name}.pem", key = "{tmp_path}/{name}.key" }}]'

    context = ssl.create_default_context()
    authority.configure_trust(context)

    def call(plane: Plane, name: str) -> Peer:
        raw = socket.create_connection(("127.0.0.1", plane.port), timeout=60)
        return Peer(context.wrap_socket(raw, server_hostname=f"{name}.test"))

    with Plane(HERE.format("x"), listener=listener("one")) as plane, call(plane, "one") as client:
        assert answer_of(client) == "x"
        plane.reload(HERE.format("y"), listener=listener("two"))
        with call(plane, "two") as other:
            assert answer_of(other) == "y"
        with pytest.raises(ssl.SSLCertVerificationError):
            call(plane, "one")
        assert answer_of(client) == "y", "a connection that is there goes on"


# -- preparations that come to nothing ---------------------------------------------------------------------------------


def test_two_preparations_without_a_switch_and_the_later_one_wins() -> None:
    with Upstream() as upstream, Plane(HERE.format("old")) as plane, plane.connect() as client:
        forgotten = plane.prepare(gateway(upstream.address))
        assert plane.statistics().snapshots == 2
        plane.call(lambda: plane.server.forget(forgotten))
        assert plane.statistics().pools == ()
        passed_over = plane.prepare(gateway(upstream.address))
        number = plane.prepare(HERE.format("new"))
        plane.switch(number)
        assert answer_of(client) == "new"
        assert (plane.statistics().snapshots, plane.statistics().pools) == (1, ()), passed_over
        plane.call(lambda: plane.server.forget(number))
        plane.call(lambda: plane.server.forget(12345))
        assert answer_of(client) == "new", "the active one is not forgotten"


def test_failed_preparation_leaves_nothing_claimed() -> None:
    server = 'filter_packages = ["tests"]'
    made = '[filters.before]\nclass = "tests.plane.reload_filters:Marked"\n'
    CLOSED.clear()
    with Upstream() as upstream, Plane(HERE.format("old"), server=server) as plane, plane.connect() as client:
        refuses = '[filters.z]\nclass = "tests.plane.reload_filters:Refuses"\n'
        with pytest.raises(GatewayError, match=r"filter z .*: not today"):
            plane.prepare(made + refuses + gateway(upstream.address), server=server)
        now = plane.statistics()
        assert (now.snapshots, now.pools) == (1, ())
        assert len(CLOSED) == 1, "what had been made is closed"
        assert answer_of(client) == "old"
        plane.reload(HERE.format("new"), server=server)
        assert answer_of(client) == "new"


def test_listener_that_comes_or_goes_is_refused() -> None:
    with Plane(HERE.format("old")) as plane:
        with pytest.raises(ValueError, match="sockets are bound when the gateway starts"):
            plane.prepare('[[listeners]]\nbind = "127.0.0.1:1"\n' + HERE.format("new"))
        assert held(plane) == 1


# -- filters -----------------------------------------------------------------------------------------------------------


def test_filter_stays_the_same_object_until_something_about_it_changes(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a")
    server = 'filter_packages = ["tests"]'

    def text(word: str) -> str:
        declared = (
            f'[filters.f]\nclass = "tests.plane.reload_filters:Marked"\nword = "{word}"\nfile = "file:{secret}"\n'
        )
        return f'{declared}\n[[routes]]\nname = "r"\nrespond = {{}}\nfilters = ["f"]\n'

    CLOSED.clear()
    with Plane(text("one"), server=server) as plane:
        seen = [plane.get().get("X-Object")]
        plane.reload(text("one") + '[[routes]]\nname = "s"\npath = "/s"\nrespond = {}\n', server=server)
        seen.append(plane.get().get("X-Object"))
        assert not CLOSED
        plane.reload(text("two"), server=server)
        seen.append(plane.get().get("X-Object"))
        assert [str(one) for one in CLOSED] == [seen[0]]
        secret.write_text("another")
        plane.reload(text("two"), server=server)
        seen.append(plane.get().get("X-Object"))
        assert len(CLOSED) == 2
    assert seen[0] == seen[1] and len(set(seen)) == 3
    assert len(CLOSED) == 3, "the end of the worker closes what is left, once"


def test_filter_is_closed_when_its_last_exchange_has_ended() -> None:
    server = 'filter_packages = ["tests"]'
    declared = '[filters.f]\nclass = "tests.plane.reload_filters:Marked"\n'
    CLOSED.clear()
    with Upstream() as upstream:
        text = declared + gateway(upstream.address, route='filters = ["f"]')
        with Plane(text, server=server) as plane, plane.connect() as client:
            client.send(GET)
            with upstream.accept() as peer:
                peer.request()
                plane.reload(gateway(upstream.address), server=server)
                assert not CLOSED
                peer.send(OK)
                assert client.answer().get("X-Object")
            until(lambda: CLOSED, "it is closed")
            client.send(GET)
            with upstream.accept() as peer:
                peer.request()
                peer.send(OK)
                assert client.answer().get("X-Object") is None


# -- ends --------------------------------------------------------------------------------------------------------------


def test_reload_during_a_drain_is_served() -> None:
    with Plane(HERE.format("old")) as plane, plane.connect() as client, plane.connect() as other:
        assert answer_of(client) == answer_of(other) == "old"
        plane.call(lambda: plane.server.drain(plane.loop.time() + 30))
        plane.reload(HERE.format("new"))
        client.send(GET)
        answer = client.answer()
        assert (answer.body, answer.get("Connection")) == (b"new", "close")
        assert client.is_closed()


def test_gateway_that_ends_in_the_middle_gives_everything_back() -> None:
    with Upstream() as upstream, ExitStack() as stack:
        with Plane(gateway(upstream.address)) as plane:
            client = stack.enter_context(plane.connect())
            client.send(GET)
            server = stack.enter_context(upstream.accept())
            server.request()
            plane.reload(HERE.format("new"))
            plane.prepare(gateway(upstream.address))
            assert held(plane) == 3
        assert client.is_closed()
        assert server.is_closed()


def test_a_hundred_reloads_leave_nothing_behind() -> None:
    def counted(kind: type) -> int:
        return sum(type(one) is kind for one in gc.get_objects())

    def text(turn: int, address: str) -> str:
        routes = "\n".join(
            f'[[routes]]\nname = "r{i}"\npath = "/{turn}/{i}/{{x}}"\nupstream = "a"\nrewrite.path = "/{{x}}"\n'
            'headers = { "X-A" = "~^a+$" }\nrequest_headers = { set = { "X-B" = "c" } }\n'
            for i in range(50)
        )
        other = f'[upstreams.b{turn}]\nendpoints = ["127.0.0.1:{1000 + turn}"]\nsticky.cookie = "c"\n'
        filters = '[filters.f]\nclass = "tests.plane.reload_filters:Marked"\n' + f'word = "{turn}"\n'
        # The connections rest while the others are prepared, however long that takes.
        upstream = f'read_timeout = "{turn + 1}s"\npool.idle_timeout = "1h"'
        return filters + other + gateway(address, upstream=upstream) + routes

    listener = 'idle_timeout = "1h"'
    server = 'filter_packages = ["tests"]'
    process = psutil.Process()
    with Upstream() as upstream, Plane(text(0, upstream.address), listener, server) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as peer:
            peer.request()
            peer.send(OK)
            assert client.answer().body == b"ok"
            # What the first ones need once: code, caches, arenas.
            for turn in range(1, 30):
                plane.reload(text(turn, upstream.address), listener, server)
            gc.collect()
            before = (process.num_fds(), counted(Plan), len(gc.get_objects()))
            size = footprint()
            for turn in range(30, 130):
                plane.reload(text(turn, upstream.address), listener, server)
                if turn % 10 == 0:
                    client.send(GET)
                    peer.request()
                    peer.send(OK)
                    assert client.answer().body == b"ok"
            at_end = plane.statistics()
            gc.collect()
            after = (process.num_fds(), counted(Plan), len(gc.get_objects()))
        assert after[:2] == before[:2]
        assert after[2] < before[2] + 500, "objects"
        assert at_end.snapshots == 1
        assert len(at_end.pools) == 2
        assert grown_since(size) < 4 << 20
        assert CLOSED
