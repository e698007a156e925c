"""Limits as clients meet them: who is let in, who is refused and what he is told, who waits."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.plane.harness import Answer, Peer, Plane, Upstream, until
from tests.plane.serving import Fields, Serving

from tidegate.memory.meters import VERDICTS, MeterReader

pytestmark = pytest.mark.sanitize

SERVER = 'filter_packages = ["tests"]'
EDGE = '[limits.edge]\nrate = "1/d"\nburst = 1\n'


def answered(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
    """401 where the path says so, else 200 with the path."""
    path = line.split()[1].encode()
    status = b"401 Unauthorized" if path.startswith(b"/401") else b"200 OK"
    peer.send(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(path), path))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Serving]:
    with Serving(answered) as serving:
        yield serving


def limited(
    upstream: Serving, limits: str, route: str = 'limits = ["edge"]', *, on_upstream: str = "", listener: str = "",
    more: str = "",
) -> Plane:  # fmt: skip
    """A gateway with a route "all" to the upstream "u"."""
    return Plane(
        f'{limits}\n[upstreams.u]\nendpoints = ["{upstream.address}"]\n{on_upstream}\n'
        f'[[routes]]\nname = "all"\nupstream = "u"\n{route}\n{more}\n',
        listener=listener,
        server=SERVER,
    )


def ask(client: Peer, path: str = "/", fields: str = "") -> Answer:
    client.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode())
    return client.answer()


def statuses(plane: Plane, *requests: tuple[str, str]) -> list[int]:
    """Of requests (path, fields) one after the other on one connection."""
    with plane.connect() as client:
        return [ask(client, path, fields).status for path, fields in requests]


def verdicts(plane: Plane, name: str = "edge") -> dict[str, int]:
    reader = MeterReader(plane.region.mapping)
    counts = reader.read("limit", name, reader.places().get(("limit", name), [])).classes
    return {verdict: count for verdict, count in zip(VERDICTS, counts, strict=False) if count}


def key(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


AUTH = f"""
[auth.partners]
kind = "key"
keys = [
    {{ key = "{key("a")}", subject = "ann", tenant = "acme", tier = "gold" }},
    {{ key = "{key("b")}", subject = "bob", tenant = "acme", tier = "free" }},
    {{ key = "{key("c")}", subject = "carl", tenant = "globex", tier = "free" }},
]
"""
PLAIN = ("/", "")


def test_burst_and_one_pass_and_the_next_is_told_when_to_come_again(upstream: Serving) -> None:
    with limited(upstream, EDGE) as plane, plane.connect() as client:
        assert [ask(client).status for _ in range(2)] == [200, 200]
        refused = ask(client)
        assert refused.status == 429
        assert refused.get("Tidegate-Limit") == "edge"
        assert refused.get("RateLimit-Policy") == '"edge";q=2;w=172800'
        after_s = int(refused.get("Retry-After") or 0)
        assert 86_400 - 60 < after_s <= 86_400
        assert refused.get("RateLimit") == f'"edge";r=0;t={after_s}'
        assert refused.get("Content-Type") == "application/problem+json"
        told = json.loads(refused.body)
        assert told == {
            "type": "urn:tidegate:limit_exceeded",
            "title": "Too many requests",
            "status": 429,
            "limit": "edge",
            "request_id": told["request_id"],
        }
        assert len(told["request_id"]) == 32
        assert ask(client).status == 429  # on the same connection, which goes on
        assert verdicts(plane) == {"admitted": 2, "refused": 2}
        records = plane.log_records(4)
        assert [record.get("limit") for record in records] == [None, None, "edge", "edge"]
        assert records[2]["error"] == "http_request_denied"


def test_status_and_headers_are_what_is_configured(upstream: Serving) -> None:
    options = 'status = 503\nheaders = ["X-RateLimit"]\nburst = 2'
    with limited(upstream, f'[limits.edge]\nrate = "0/s"\n{options}\n') as plane, plane.connect() as client:
        refused = ask(client)
        assert (refused.status, refused.get("Retry-After")) == (503, "86400")
        assert [refused.get(name) for name in ("Tidegate-Limit", "RateLimit", "RateLimit-Policy")] == [None] * 3
        assert [refused.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset")] == ["0", "0", "86400"]
        assert "limit" not in json.loads(refused.body)


def test_each_key_has_a_rate_of_its_own(upstream: Serving) -> None:
    limit = '[limits.edge]\nrate = "1/d"\nkey = ["header:X-User", "path"]\n'
    requests = [
        ("/a", "X-User: ann\r\n"),
        ("/b", "X-User: ann\r\n"),
        ("/a", "x-user: bob\r\n"),
        ("/a", "X-User: ann\r\n"),
    ]
    with limited(upstream, limit) as plane:
        assert statuses(plane, *requests) == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("missing", "expected"), [("own", [200, 429, 200]), ("refuse", [400, 400, 200]), ("skip", [200, 200, 200])]
)
def test_missing_key_is_treated_as_configured(upstream: Serving, missing: str, expected: list[int]) -> None:
    limit = f'[limits.edge]\nrate = "1/d"\nkey = "header:X-User"\nmissing_key = "{missing}"\n'
    with limited(upstream, limit) as plane:
        assert statuses(plane, PLAIN, PLAIN, ("/", "X-User: ann\r\n")) == expected


def test_tiers_and_overrides_are_allowed_what_is_theirs(upstream: Serving) -> None:
    limit = (
        '[limits.contract]\nrate = "1/d"\nkey = "auth.subject"\n'
        "tiers.gold = { burst = 2 }\noverrides.carl = { burst = 1 }\n"
    )
    requests = [("/", f"X-API-Key: {name}\r\n") for name in "aaaabbccc"]
    with limited(upstream, AUTH + limit, 'auth = "partners"\nlimits = ["contract"]') as plane:
        assert statuses(plane, *requests) == [200, 200, 200, 429, 200, 429, 200, 200, 429]


def test_cost_is_what_a_request_takes(upstream: Serving) -> None:
    with limited(upstream, '[limits.edge]\nrate = "10/d"\nburst = 9\ncost = 5\n') as plane:
        assert statuses(plane, PLAIN, PLAIN, PLAIN) == [200, 200, 429]


def test_dry_run_counts_and_refuses_nobody(upstream: Serving) -> None:
    with limited(upstream, EDGE + "dry_run = true\n") as plane:
        assert statuses(plane, *[PLAIN] * 5) == [200] * 5
        assert verdicts(plane) == {"admitted": 2, "would_refuse": 3}


def test_bad_keys_are_not_looked_up_once_their_address_is_refused(upstream: Serving) -> None:
    limit = '[limits.edge]\nrate = "1/d"\nburst = 2\nkey = "client.ip"\n'
    with limited(upstream, AUTH + limit, 'auth = "partners"\nlimits = ["edge"]') as plane:
        assert statuses(plane, *[("/", "X-API-Key: guess\r\n")] * 5) == [401, 401, 401, 429, 429]
        assert plane.counters()["requests_unauthenticated"] == 3


def test_only_failures_are_charged_where_only_they_count(upstream: Serving) -> None:
    limit = '[limits.guesses]\nrate = "1/d"\nburst = 1\ncharge = "on_failure"\nkey = "client.ip"\n'
    with limited(upstream, limit, 'limits = ["guesses"]') as plane:
        assert statuses(plane, *[PLAIN] * 4) == [200] * 4
        # The upstream's own 401 counts as well. The third guess is refused unseen; so is the rest.
        assert statuses(plane, ("/401", ""), ("/401", ""), ("/401", ""), PLAIN) == [401, 401, 429, 429]


def test_guesses_that_are_under_way_together_are_all_paid_for() -> None:
    limit = '[limits.two]\nrate = "1/d"\nburst = 1\ncharge = "on_failure"\nkey = "client.ip"\n'
    with Upstream() as slow, slowly(slow, limit) as plane:
        with holding(plane, slow, 4) as pairs:
            for client, server in pairs:
                server.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                assert client.answer().status == 401
            until(lambda: plane.statistics().exchanges == 0, "they have ended")
        refused = plane.get()
        assert refused.status == 429
        # Two days' guesses are free, and four were made: three days until one is again.
        assert 3 * 86_400 - 60 < int(refused.get("Retry-After") or 0) <= 3 * 86_400


def test_all_limits_of_a_step_are_charged_or_none_is(upstream: Serving) -> None:
    limits = '[limits.wide]\nrate = "1/d"\nburst = 3\n[limits.narrow]\nrate = "1/d"\nkey = "path"\n'
    with limited(upstream, limits, 'limits = ["wide", "narrow"]') as plane:
        assert statuses(plane, ("/a", ""), ("/a", ""), ("/a", ""), ("/b", ""), ("/c", ""), ("/d", ""), ("/e", "")) == (
            [200, 429, 429, 200, 200, 200, 429]
        )
        assert verdicts(plane, "wide") == {"admitted": 4, "refused": 1}
        assert verdicts(plane, "narrow") == {"admitted": 4, "refused": 2}


def test_limits_of_listener_route_and_upstream_are_all_asked(upstream: Serving) -> None:
    limits = (
        '[limits.edge]\nrate = "1/d"\nburst = 5\n[limits.route]\nrate = "1/d"\nburst = 3\n'
        '[limits.server]\nrate = "1/d"\nburst = 1\nkey = "upstream"\n'
    )
    other = '[[routes]]\nname = "fixed"\npath = "/fixed"\nrespond = {}\n'
    plane = limited(
        upstream,
        limits,
        'limits = ["route"]',
        on_upstream='limits = ["server"]',
        listener='limits = ["edge"]',
        more=other,
    )
    with plane, plane.connect() as client:
        assert [ask(client).status for _ in range(2)] == [200, 200]
        assert ask(client).get("Tidegate-Limit") == "server"
        assert [ask(client, "/fixed").status for _ in range(3)] == [200] * 3
        assert ask(client, "/fixed").get("Tidegate-Limit") == "edge"
        assert verdicts(plane, "route") == {"admitted": 3}
        assert verdicts(plane, "server") == {"admitted": 2, "refused": 1}


def test_listener_counts_what_no_route_wants(upstream: Serving) -> None:
    with limited(upstream, EDGE, 'path = "/there"', listener='limits = ["edge"]') as plane:
        assert statuses(plane, ("/nowhere", ""), ("/nowhere", ""), ("/nowhere", ""), ("/there", "")) == [
            404,
            404,
            429,
            429,
        ]


def test_contract_is_charged_to_who_is_served_only(upstream: Serving) -> None:
    limits = '[limits.contract]\nrate = "1/d"\nburst = 1\nkey = "auth.tenant"\n'
    filters = (
        '[filters.closed]\nclass = "tidegate.filters.fixed_answer:FixedAnswer"\n'
        'status = 418\nunless = { X-Open = "1" }\n'
    )
    route = 'auth = "partners"\nlimits = ["contract"]\nfilters = ["closed"]'
    closed, opened = ("/", "X-API-Key: a\r\n"), ("/", "X-API-Key: b\r\nX-Open: 1\r\n")
    with limited(upstream, AUTH + limits + filters, route) as plane:
        assert statuses(plane, closed, closed, closed, opened, opened, opened, closed) == [418] * 3 + [
            200,
            200,
            429,
            429,
        ]


@contextmanager
def at_once(plane: Plane, count: int, fields: str = "") -> Iterator[list[Peer]]:
    """So many clients, each of which has asked for /0, /1, … and been judged before the next one asks."""
    with ExitStack() as opened:
        clients = []
        for number in range(count):
            client = opened.enter_context(plane.connect())
            client.send(f"GET /{number} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode())
            clients.append(client)
            until(lambda: sum(verdicts(plane).values()) == len(clients), "it was judged")
        yield clients


def leave(client: Peer) -> None:
    """A reset; a close alone would only end the client's half."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


def test_delayed_requests_wait_for_their_turns_in_order() -> None:
    limit = '[limits.edge]\nrate = "10/s"\nburst = 4\nexcess = "delay"\n'
    with Plane(f'{limit}[[routes]]\nname = "fixed"\nlimits = ["edge"]\nrespond = {{}}\n') as plane:
        began_s = time.monotonic()
        with at_once(plane, 5) as clients:
            assert [client.answer().status for client in clients] == [200] * 5
            took_s = time.monotonic() - began_s
        found = verdicts(plane)
        # On a slow machine some come so late that they need not wait; nobody comes before his turn.
        assert found["admitted"] + found.get("delayed", 0) == 5
        assert took_s >= 0.1 * 4 - 0.002
        assert [record["target"] for record in plane.log_records(5)] == [f"/{number}" for number in range(5)]
        assert plane.counters()["exchanges_async_limit"] == found.get("delayed", 0)


def test_delay_forgives_what_it_is_told_to_and_refuses_beyond_the_burst(upstream: Serving) -> None:
    # So slow a rate that nothing is paid back while the test asks.
    limit = '[limits.edge]\nrate = "1/h"\nburst = 4\ndelay_after = 2\nexcess = "delay"\n'
    with limited(upstream, limit, 'limits = ["edge"]\ntimeout = "6h"') as plane, at_once(plane, 7) as clients:
        assert [client.answer().status for client in (*clients[:3], *clients[5:])] == [200] * 3 + [429] * 2
        assert verdicts(plane) == {"admitted": 3, "delayed": 2, "refused": 2}
        for client in clients[3:5]:
            leave(client)
        until(lambda: plane.statistics().exchanges == 0, "they have left")


def test_max_delay_refuses_at_once_who_would_wait_longer(upstream: Serving) -> None:
    limit = '[limits.edge]\nrate = "1/h"\nburst = 100\nexcess = "delay"\nmax_delay = "10m"\ndelay_after = 1\n'
    with limited(upstream, limit) as plane:
        assert statuses(plane, PLAIN, PLAIN, PLAIN) == [200, 200, 429]


def test_client_that_leaves_before_its_turn_gives_its_place_back(upstream: Serving) -> None:
    limit = '[limits.edge]\nrate = "1/h"\nburst = 1\nexcess = "delay"\n'
    with limited(upstream, limit, 'limits = ["edge"]\ntimeout = "6h"') as plane:
        assert statuses(plane, PLAIN) == [200]
        for _ in range(3):
            with plane.connect() as waiting:
                waiting.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                until(lambda: plane.statistics().exchanges == 1, "it waits")
                assert statuses(plane, PLAIN) == [429]
                leave(waiting)
            until(plane.is_at_rest, "it has left")
        assert verdicts(plane) == {"admitted": 1, "delayed": 3, "refused": 3}


def test_turn_beyond_the_deadline_of_the_exchange_is_refused_at_once_and_given_back(upstream: Serving) -> None:
    limit = '[limits.edge]\nrate = "1/h"\nburst = 1\nexcess = "delay"\n'
    with limited(upstream, limit, 'limits = ["edge"]\ntimeout = "30m"') as plane, plane.connect() as client:
        assert ask(client).status == 200
        for _ in range(3):
            refused = ask(client)
            assert (refused.status, refused.get("Tidegate-Limit")) == (429, "edge")
            # In half an hour its turn would be half an hour ahead, and it may last as long.
            assert 1800 - 60 < int(refused.get("Retry-After") or 0) <= 1801
        assert verdicts(plane) == {"admitted": 1, "refused": 3}


def test_quota_counts_in_its_window_and_says_when_it_ends(upstream: Serving) -> None:
    limit = '[limits.edge]\nquota = 2\nwindow = "30d"\nwindow_kind = "first_use"\nkey = "header:X-User"\n'
    ann, bob = ("/", "X-User: ann\r\n"), ("/", "X-User: bob\r\n")
    with limited(upstream, limit) as plane, plane.connect() as client:
        assert [ask(client, *ann).status for _ in range(2)] == [200, 200]
        refused = ask(client, *ann)
        assert refused.status == 429
        assert refused.get("RateLimit-Policy") == '"edge";q=2;w=2592000'
        assert 30 * 86_400 - 60 < int(refused.get("Retry-After") or 0) <= 30 * 86_400
        assert ask(client, *bob).status == 200
        assert verdicts(plane) == {"admitted": 3, "refused": 1}


def test_quota_and_rate_of_one_step_are_charged_together(upstream: Serving) -> None:
    limits = '[limits.day]\nquota = 3\nwindow = "1d"\ncost = 1\n[limits.path]\nrate = "1/d"\nkey = "path"\n'
    requests = [(path, "") for path in ("/a", "/a", "/a", "/b", "/c", "/d")]
    # Windows begin at midnight: a test that meets it asks once more.
    for _ in range(2):
        with limited(upstream, limits, 'limits = ["day", "path"]') as plane:
            day = time.time() // 86_400
            found = statuses(plane, *requests)
            if time.time() // 86_400 == day:
                break
    assert found == [200, 429, 429, 200, 200, 429]


@contextmanager
def holding(plane: Plane, slow: Upstream, count: int, fields: str = "") -> Iterator[list[tuple[Peer, Peer]]]:
    """So many requests that the upstream has and has not answered: client and server end of each."""
    with ExitStack() as opened:
        pairs = []
        for _ in range(count):
            client = opened.enter_context(plane.connect())
            client.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode())
            server = opened.enter_context(slow.accept())
            server.request()
            pairs.append((client, server))
        yield pairs


def slowly(slow: Upstream, limits: str, route: str = 'limits = ["two"]') -> Plane:
    text = (
        f'{limits}\n[upstreams.u]\nendpoints = ["{slow.address}"]\n[[routes]]\nname = "all"\nupstream = "u"\n{route}\n'
    )
    return Plane(text, server=SERVER)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TWO = "[limits.two]\nconcurrency = 2\n"


def test_no_more_are_under_way_than_concurrency_allows() -> None:
    with Upstream() as slow, slowly(slow, TWO) as plane, holding(plane, slow, 2) as (first, second):
        refused = plane.get()
        assert (refused.status, refused.get("Tidegate-Limit"), refused.get("Retry-After")) == (503, "two", "1")
        assert refused.get("RateLimit-Policy") == '"two";q=2;qu="concurrent-requests"'
        assert json.loads(refused.body)["title"] == "Too many requests at once"
        first[1].send(OK)
        assert first[0].answer().status == 200
        with plane.connect() as third:
            third.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            first[1].request()  # over the connection that was kept
            assert plane.get().status == 503
            for client, server in (second, (third, first[1])):
                server.send(OK)
                assert client.answer().status == 200
        assert verdicts(plane, "two") == {"admitted": 3, "refused": 2}


@pytest.mark.parametrize("how", ["client", "upstream", "timeout"])
def test_permit_ends_with_its_exchange_whatever_the_end(how: str) -> None:
    with (
        Upstream() as slow,
        slowly(slow, TWO, 'limits = ["two"]\ntimeout = "300ms"' if how == "timeout" else 'limits = ["two"]') as plane,
    ):
        for _ in range(3):
            with holding(plane, slow, 2) as pairs:
                for client, server in pairs:
                    if how == "client":
                        leave(client)
                    elif how == "upstream":
                        server.sock.close()
                if how != "client":
                    assert {client.answer().status for client, _ in pairs} == {504 if how == "timeout" else 502}
                until(lambda: plane.statistics().exchanges == 0, "they have ended")
        with holding(plane, slow, 2) as pairs:
            assert plane.get().status == 503
            for client, server in pairs:
                server.send(OK)
                client.answer()


def test_each_key_has_permits_of_its_own_and_tiers_have_more() -> None:
    limit = '[limits.two]\nconcurrency = 1\nkey = "header:X-User"\nkeys = 100\noverrides.ann = { concurrency = 2 }\n'
    ann, bob = "X-User: ann\r\n", "X-User: bob\r\n"
    with Upstream() as slow, slowly(slow, limit) as plane, holding(plane, slow, 2, ann), holding(plane, slow, 1, bob):
        assert [plane.get(headers=fields).status for fields in (ann, bob)] == [503, 503]


def test_permit_that_is_refused_charges_no_rate() -> None:
    limits = TWO + '[limits.day]\nrate = "1/d"\nburst = 2\nkey = "upstream"\n'
    with Upstream() as slow, slowly(slow, limits, 'limits = ["day", "two"]') as plane:
        with holding(plane, slow, 2) as pairs:
            assert [plane.get().status for _ in range(3)] == [503] * 3
            for client, server in pairs:
                server.send(OK)
                assert client.answer().status == 200
        # Both connections to the upstream are closed by now, so that the next one comes to be accepted.
        with holding(plane, slow, 1) as ((client, server),):
            server.send(OK)
            assert client.answer().status == 200
        assert plane.get().status == 429


def test_dry_run_of_concurrency_refuses_nobody() -> None:
    with Upstream() as slow, slowly(slow, "[limits.two]\nconcurrency = 1\ndry_run = true\n") as plane:
        with holding(plane, slow, 3) as pairs:
            for client, server in pairs:
                server.send(OK)
                assert client.answer().status == 200
        assert verdicts(plane, "two") == {"admitted": 1, "would_refuse": 2}


QUEUE = '[limits.two]\nconcurrency = 1\nqueue = 2\nqueue_timeout = "30s"\n'


@contextmanager
def queued(plane: Plane, count: int, fields: str = "") -> Iterator[list[Peer]]:
    """So many clients whose requests wait for a permit, in this order."""
    with ExitStack() as opened:
        clients = []
        for number in range(count):
            client = opened.enter_context(plane.connect())
            waiting = plane.statistics().exchanges
            client.send(f"GET /{number} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode())
            until(lambda: plane.statistics().exchanges == waiting + 1, "it waits")  # noqa: B023 - called here only
            clients.append(client)
        yield clients


def test_queue_serves_in_order_and_refuses_beyond_its_places() -> None:
    with Upstream() as slow, slowly(slow, QUEUE) as plane:
        with holding(plane, slow, 1) as ((client, server),), queued(plane, 2) as waiting:
            assert plane.get().status == 503
            for number, one in enumerate((client, *waiting)):
                server.send(OK)
                assert one.answer().status == 200
                if number < 2:
                    assert server.request()[0] == f"GET /{number} HTTP/1.1"
        assert verdicts(plane, "two") == {"admitted": 1, "delayed": 2, "refused": 1}
        assert plane.counters()["exchanges_async_limit"] == 2


def test_who_waits_for_too_long_is_refused() -> None:
    limit = QUEUE.replace("30s", "200ms")
    with Upstream() as slow, slowly(slow, limit) as plane, holding(plane, slow, 1) as ((client, server),):
        assert plane.get().status == 503
        server.send(OK)
        assert client.answer().status == 200


@pytest.mark.parametrize("how", ["client", "timeout"])
def test_who_leaves_the_queue_leaves_his_place(how: str) -> None:
    those = '[[routes]]\nname = "those"\npath = "/{number}"\nupstream = "u"\nlimits = ["two"]\n'
    brief = 'timeout = "1s"\n' if how == "timeout" else ""
    with Upstream() as slow, slowly(slow, QUEUE, f'limits = ["two"]\n{those}{brief}') as plane:
        for _ in range(2):
            with holding(plane, slow, 1) as ((client, server),), queued(plane, 2) as waiting:
                if how == "client":
                    assert plane.get().status == 503
                    for one in waiting:
                        leave(one)
                else:
                    for one in waiting:
                        refused = one.answer()
                        assert (refused.status, refused.get("Tidegate-Limit")) == (503, "two")
                until(lambda: plane.statistics().exchanges == 1, "they have left")
                server.send(OK)
                assert client.answer().status == 200
                until(lambda: plane.statistics().exchanges == 0, "all have ended")


def test_who_waits_in_a_queue_is_charged_nothing_until_it_is_served() -> None:
    limits = QUEUE + '[limits.day]\nrate = "1/d"\nburst = 1\nkey = "upstream"\n'
    with Upstream() as slow, slowly(slow, limits, 'limits = ["day", "two"]') as plane:
        with holding(plane, slow, 1) as ((client, server),):
            with queued(plane, 2) as waiting:
                for one in waiting:
                    leave(one)
                until(lambda: plane.statistics().exchanges == 1, "they have left")
            with queued(plane, 2) as (second, third):
                server.send(OK)
                assert client.answer().status == 200
                server.request()
                server.send(OK)
                assert second.answer().status == 200
                # It got its permit, and by then the rate was used up: the look after a wait is a look at all.
                assert third.answer().get("Tidegate-Limit") == "day"
        assert verdicts(plane, "day") == {"admitted": 2, "refused": 1}


def test_tenants_wait_in_turn() -> None:
    limits = AUTH + QUEUE.replace("queue = 2", "queue = 5")
    with Upstream() as slow, slowly(slow, limits, 'auth = "partners"\nlimits = ["two"]') as plane:
        acme, globex = "X-API-Key: a\r\n", "X-API-Key: c\r\n"
        with (
            holding(plane, slow, 1, acme) as ((client, server),),
            queued(plane, 3, acme) as many,
            queued(plane, 1, globex) as few,
        ):
            server.send(OK)
            assert client.answer().status == 200
            order = []
            for _ in range(4):
                order.append(server.request()[0])
                server.send(OK)
            assert {one.answer().status for one in (*many, *few)} == {200}
        # /0 of globex is before /1 of acme, though it came after /2.
        assert order == [f"GET /{number} HTTP/1.1" for number in (0, 0, 1, 2)]


def test_limit_that_means_the_same_goes_on_over_a_reload(upstream: Serving) -> None:
    with limited(upstream, EDGE) as plane, plane.connect() as client:
        text = f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n[[routes]]\nname = "all"\nupstream = "u"\n'
        assert [ask(client).status for _ in range(3)] == [200, 200, 429]
        plane.reload(EDGE.replace("burst = 1", "burst = 2") + text + 'limits = ["edge"]', server=SERVER)
        assert [ask(client).status for _ in range(2)] == [200, 429]
        plane.reload(text, server=SERVER)
        assert ask(client).status == 200


def test_limit_that_is_removed_while_it_is_held_is_free_when_it_comes_back() -> None:
    with Upstream() as slow, slowly(slow, TWO) as plane, holding(plane, slow, 2) as pairs:
        assert plane.get().status == 503
        rest = f'[upstreams.u]\nendpoints = ["{slow.address}"]\n[[routes]]\nname = "all"\nupstream = "u"\n'
        plane.reload(rest, server=SERVER)
        with holding(plane, slow, 1) as ((client, server),):
            server.send(OK)
            assert client.answer().status == 200
        for client, server in pairs:
            server.send(OK)
            assert client.answer().status == 200
            server.sock.close()
        plane.reload(TWO + rest + 'limits = ["two"]\n', server=SERVER)
        with holding(plane, slow, 2) as again:
            assert plane.get().status == 503
            for client, server in again:
                server.send(OK)
                assert client.answer().status == 200
