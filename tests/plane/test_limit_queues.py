"""Queues of limits as clients meet them: by key, by class, by tier; and that nothing of them is left."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.test_limits import AUTH, OK, holding, leave, queued, slowly, verdicts

pytestmark = pytest.mark.sanitize

ANN, BOB = "X-User: ann\r\n", "X-User: bob\r\n"
KEYED = '[limits.two]\nconcurrency = 1\nqueue = 2\nqueue_timeout = "30s"\nkey = "header:X-User"\nkeys = 100\n'
CLASSES = '[classes]\nnames = ["critical", "live", "batch"]\ndefault = "live"\n'
ONE = '[limits.two]\nconcurrency = 1\nqueue = 10\nqueue_timeout = "30s"\n'


def answered(pairs: list[tuple[Peer, Peer]]) -> None:
    """The server answers each, and its client has the answer."""
    for client, server in pairs:
        server.send(OK)
        assert client.answer().status == 200


def nothing_is_left(plane: Plane) -> None:
    until(lambda: plane.statistics().exchanges == 0, "all have ended")
    assert plane.region.inflight().rows_in_use() == 0
    assert [row for row in range(256) if plane.region.bells().waiting(row)] == []


def test_each_key_has_a_queue_of_its_own_and_leaves_nothing_behind() -> None:
    with Upstream() as slow, slowly(slow, KEYED) as plane:
        with (
            holding(plane, slow, 1, ANN) as anns,
            holding(plane, slow, 1, BOB) as bobs,
            queued(plane, 2, ANN) as waiting,
        ):
            assert plane.get(headers=ANN).status == 503
            with queued(plane, 1, BOB) as (bob,):
                answered(bobs)
                assert bobs[0][1].request()[0] == "GET /0 HTTP/1.1"
                answered([(bob, bobs[0][1])])
            answered(anns)
            for number, one in enumerate(waiting):
                assert anns[0][1].request()[0] == f"GET /{number} HTTP/1.1"
                answered([(one, anns[0][1])])
        assert verdicts(plane, "two") == {"admitted": 2, "delayed": 3, "refused": 1}
        nothing_is_left(plane)


def test_who_leaves_the_queue_of_a_key_leaves_his_place() -> None:
    with Upstream() as slow, slowly(slow, KEYED) as plane:
        for _ in range(3):
            with holding(plane, slow, 1, ANN) as pairs, queued(plane, 2, ANN) as waiting:
                assert plane.get(headers=ANN).status == 503
                for one in waiting:
                    leave(one)
                until(lambda: plane.statistics().exchanges == 1, "they have left")
                answered(pairs)
            nothing_is_left(plane)


def test_who_waits_for_a_key_for_too_long_is_refused() -> None:
    limit = KEYED.replace("30s", "200ms")
    with Upstream() as slow, slowly(slow, limit) as plane:
        with holding(plane, slow, 1, ANN) as pairs:
            for _ in range(2):
                refused = plane.get(headers=ANN)
                assert (refused.status, refused.get("Tidegate-Limit")) == (503, "two")
            answered(pairs)
        nothing_is_left(plane)


def test_override_of_a_key_goes_for_those_of_it_who_wait() -> None:
    limit = KEYED + "overrides.ann = { concurrency = 2 }\n"
    with Upstream() as slow, slowly(slow, limit) as plane:
        with holding(plane, slow, 2, ANN) as pairs, queued(plane, 2, ANN) as waiting:
            assert plane.get(headers=ANN).status == 503
            answered(pairs)
            servers = [server for _, server in pairs]
            assert {server.request()[0] for server in servers} == {"GET /0 HTTP/1.1", "GET /1 HTTP/1.1"}
            for server in servers:
                server.send(OK)
            assert {one.answer().status for one in waiting} == {200}
        nothing_is_left(plane)


def test_who_is_allowed_more_goes_on_where_others_wait() -> None:
    """One count for all, of which the gold tier may have more than the others."""
    limits = AUTH + ONE + "tiers.gold = { concurrency = 3 }\n"
    gold, free = "X-API-Key: a\r\n", "X-API-Key: b\r\n"
    with Upstream() as slow, slowly(slow, limits, 'auth = "partners"\nlimits = ["two"]') as plane:
        with (
            holding(plane, slow, 1, free) as first,
            queued(plane, 2, free) as others,
            holding(plane, slow, 2, gold) as second,
            queued(plane, 1, gold) as (late,),
        ):
            # Two of three are held when one has ended: the tier is let in, and those before it are not.
            answered(first)
            assert first[0][1].request()[0] == "GET /0 HTTP/1.1"
            answered([(late, first[0][1])])
            answered(second)
            for number, other in enumerate(others):
                server, line = next_request([server for _, server in (*first, *second)])
                assert line == f"GET /{number} HTTP/1.1"
                answered([(other, server)])
        nothing_is_left_but_the_limit(plane)


def next_request(servers: list[Peer]) -> tuple[Peer, str]:
    """The connection of several on which the next request comes, and its first line."""
    by_socket = {server.sock: server for server in servers}
    ready, _, _ = select.select(list(by_socket), [], [], 60)
    server = by_socket[ready[0]]
    return server, server.request()[0]


@contextmanager
def waiting_in_order(plane: Plane, *fields: str) -> Iterator[dict[str, Peer]]:
    """Clients that wait for a permit, each of which has asked for a path by its number with fields of its own."""
    with ExitStack() as opened:
        clients = {}
        for number, one in enumerate(fields):
            client = opened.enter_context(plane.connect())
            before = plane.statistics().exchanges
            path, _, more = one.partition(" ")
            client.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{more}\r\n".encode())
            until(lambda: plane.statistics().exchanges == before + 1, "it waits")  # noqa: B023 - called here only
            clients[f"{number} {path}"] = client
        yield clients


def order_of(server: Peer, client: Peer, waiting: dict[str, Peer]) -> list[str]:
    """The paths in the order in which they are served, over one connection, after ``client``."""
    server.send(OK)
    assert client.answer().status == 200
    order = []
    for _ in waiting:
        order.append(server.request()[0].split()[1])
        server.send(OK)
    assert {one.answer().status for one in waiting.values()} == {200}
    return order


def test_classes_of_route_key_and_field_are_served_by_their_importance() -> None:
    limits = AUTH.replace('tenant = "globex", tier', 'tenant = "globex", priority = 10, tier') + ONE
    classes = CLASSES + 'header = "X-Class"\npriorities = { critical = 10 }\n'
    routes = (
        'auth = "partners"\nlimits = ["two"]\n[[routes]]\nname = "batch"\npath = "/batch"\nupstream = "u"\n'
        'limits = ["two"]\ntraffic_class = "batch"\n'
    )
    live, critical = "X-API-Key: a\r\n", "X-API-Key: c\r\n"
    with Upstream() as slow, slowly(slow, classes + limits, routes) as plane:
        with (
            holding(plane, slow, 1, live) as ((client, server),),
            waiting_in_order(
                plane,
                "/batch X-Class: critical\r\n",  # nobody raises himself
                f"/lowered {live}X-Class: batch\r\n",
                f"/live {live}",
                f"/critical {critical}",
            ) as waiting,
        ):
            found = order_of(server, client, waiting)
        assert found[:2] == ["/critical", "/live"]
        assert set(found[2:]) == {"/batch", "/lowered"}, "two tenants of one class, in turn"
        nothing_is_left_but_the_limit(plane)


def test_tenants_are_served_by_their_weights() -> None:
    limits = AUTH + ONE + "weights = { globex = 4 }\n"
    acme, globex = "X-API-Key: a\r\n", "X-API-Key: c\r\n"
    waiting = [f"/acme {acme}"] * 2 + [f"/globex {globex}"] * 4
    with Upstream() as slow, slowly(slow, limits, 'auth = "partners"\nlimits = ["two"]\n') as plane:
        with (
            holding(plane, slow, 1, acme) as ((client, server),),
            waiting_in_order(plane, *waiting) as clients,
        ):
            found = order_of(server, client, clients)
        assert found == ["/acme", *["/globex"] * 4, "/acme"], "four of one for one of the other"
        nothing_is_left_but_the_limit(plane)


def nothing_is_left_but_the_limit(plane: Plane) -> None:
    """A limit without key keeps its two rows while it is there."""
    until(lambda: plane.statistics().exchanges == 0, "all have ended")
    assert plane.region.inflight().rows_in_use() == 2
    assert [row for row in range(256) if plane.region.bells().waiting(row)] == []


def test_field_raises_where_clients_are_trusted() -> None:
    classes = CLASSES + 'header = "X-Class"\nheader_raises = true\n'
    with (
        Upstream() as slow,
        slowly(slow, classes + ONE) as plane,
        holding(plane, slow, 1) as ((client, server),),
        waiting_in_order(plane, "/live ", "/critical X-Class: critical\r\n") as waiting,
    ):
        assert order_of(server, client, waiting) == ["/critical", "/live"]


def test_share_that_was_lent_comes_back_to_the_class_that_waits() -> None:
    limit = ONE.replace("concurrency = 1", "concurrency = 4\nshares = { live = 0.75, batch = 0.25 }")
    route = 'limits = ["two"]\n[[routes]]\nname = "batch"\npath = "/batch"\nupstream = "u"\nlimits = ["two"]\n'
    with (
        Upstream() as slow,
        slowly(slow, CLASSES + limit, route + 'traffic_class = "batch"\n') as plane,
        holding(plane, slow, 4) as pairs,  # one of them is lent
        waiting_in_order(plane, "/live ", "/batch ", "/batch ") as waiting,
    ):
        served = []
        for client, server in pairs[:2]:
            server.send(OK)
            assert client.answer().status == 200
            served.append(server.request()[0].split()[1])
        # The first permit is batch's by right, though live is more important; the second is live's.
        assert served == ["/batch", "/live"]
        for _, server in pairs[:2]:
            server.send(OK)
        for client, server in pairs[2:]:
            server.send(OK)
            assert client.answer().status == 200
        last, path = next_request([server for _, server in pairs])
        assert path == "GET /batch HTTP/1.1"
        last.send(OK)
        assert {one.answer().status for one in waiting.values()} == {200}


DELAYED = '[limits.two]\nrate = "1/h"\nburst = 2\nexcess = "delay"\n'
WAITS = {
    "permit": (ONE, 503),
    "permit of a key": (KEYED, 503),
    "turn": (DELAYED, 429),
    "unit": ('[limits.two]\nconcurrency = 1\nburst = 2\nunit_delay = "1h"\n', 503),
}


@pytest.mark.parametrize("when", ["later", "with it"])
@pytest.mark.parametrize(("limit", "status"), WAITS.values(), ids=WAITS.keys())
def test_who_may_have_left_keeps_no_place_and_hears_so(limit: str, status: int, when: str) -> None:
    route = 'limits = ["two"]\ntimeout = "9h"'
    with Upstream() as slow, slowly(slow, limit, route) as plane, holding(plane, slow, 1, ANN) as pairs:
        for _ in range(3):
            with plane.connect() as client:
                client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n{ANN}\r\nok".encode())
                if when == "later":
                    until(lambda: plane.statistics().exchanges == 2, "it waits")
                client.sock.shutdown(socket.SHUT_WR)
                refused = client.answer()
                assert (refused.status, refused.get("Tidegate-Limit")) == (status, "two")
                assert client.is_closed()
            until(lambda: plane.statistics().exchanges == 1, "it has left")
        answered(pairs)
        until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert verdicts(plane, "two")["admitted"] == 1
        assert plane.counters()["client_aborts"] == 0


def test_who_may_have_left_is_told_to_come_again_at_once_where_nothing_else_ends_his_wait() -> None:
    with (
        Upstream() as slow,
        slowly(slow, DELAYED, 'limits = ["two"]\ntimeout = "off"') as plane,
        holding(plane, slow, 1) as pairs,
        plane.connect() as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.answer().get("Retry-After") == "1"
        answered(pairs)


@pytest.mark.parametrize(("limit", "status"), WAITS.values(), ids=WAITS.keys())
def test_where_a_half_close_is_an_abort_who_waits_is_gone_with_the_body_that_nobody_read(
    limit: str, status: int
) -> None:
    text = (
        f'{limit}[upstreams.u]\nendpoints = ["{{}}"]\n[[routes]]\nname = "all"\nupstream = "u"\nlimits = ["two"]\n'
        'timeout = "9h"\n'
    )
    with Upstream() as slow, Plane(text.format(slow.address), 'half_close = "abort"') as plane:
        with holding(plane, slow, 1, ANN) as pairs:
            for _ in range(3):
                with plane.connect() as client:
                    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n{ANN}\r\n".encode())
                    until(lambda: plane.statistics().exchanges == 2, "it waits")
                    client.send(b"important")
                    client.sock.shutdown(socket.SHUT_WR)
                    assert client.is_closed()
                until(lambda: plane.statistics().exchanges == 1, "it has left")
            answered(pairs)
        until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert plane.counters()["client_aborts"] == 3


def test_who_has_ended_his_sending_half_is_served_where_nobody_waits() -> None:
    with Upstream() as slow, slowly(slow, ONE) as plane, plane.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        with slow.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
            assert client.is_closed()
