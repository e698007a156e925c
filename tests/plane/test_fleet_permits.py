"""A fleet's limit of concurrency as clients meet it: several gateways, one store that is there, away, or silent."""

from __future__ import annotations

import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.plane.harness import Peer, Plane, until
from tests.plane.serving import Fields, Serving
from tests.plane.test_fleet_limits import events, gateway
from tests.plane.test_limits import verdicts
from tests.redis.servers import Server, serving

pytestmark = pytest.mark.sanitize


class Held:
    """An upstream that answers when it is told to: a request that it has seen is under way."""

    def __init__(self) -> None:
        self.came: list[Peer] = []

    def answered(self, peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        if line.startswith("GET /held"):
            self.came.append(peer)
        else:
            answer(peer)

    def end(self, count: int = 1) -> None:
        for _ in range(count):
            answer(self.came.pop(0))


def answer(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def upstream(held: Held) -> Iterator[Serving]:
    with Serving(held.answered) as one:
        yield one


@pytest.fixture(scope="module")
def store() -> Iterator[Server]:
    with serving() as one:
        yield one


def begin(plane: Plane, stack: ExitStack, fields: str = "") -> Peer:
    client = stack.enter_context(plane.connect())
    client.send(f"GET /held HTTP/1.1\r\nHost: gateway.test\r\n{fields}\r\n".encode())
    return client


def hold(plane: Plane, held: Held, stack: ExitStack, count: int, fields: str = "") -> list[Peer]:
    """So many requests that are under way; who is refused tries again, as permits come back from elsewhere."""
    clients: list[Peer] = []

    def is_decided(before: int, client: Peer) -> bool:
        return len(held.came) > before or bool(select.select([client.sock], [], [], 0)[0])

    def is_there() -> bool:
        before = len(held.came)
        client = begin(plane, stack, fields)
        until(lambda: is_decided(before, client), "it is under way, or refused")
        if len(held.came) == before:
            assert client.answer().status == 503
            return False
        clients.append(client)
        return True

    for _ in range(count):
        until(is_there, "there is a permit")
    return clients


def test_gateways_have_together_as_many_under_way_as_one_would(upstream: Serving, held: Held, store: Server) -> None:
    with (
        ExitStack() as stack,
        gateway(upstream, store, "held", "concurrency = 5") as one,
        gateway(upstream, store, "held", "concurrency = 5") as other,
    ):
        clients = [*hold(one, held, stack, 2), *hold(other, held, stack, 1), *hold(one, held, stack, 2)]
        refusal = other.get()
        assert refusal.status == 503
        assert refusal.get("Tidegate-Limit") == "held"
        assert refusal.get("RateLimit-Policy") == '"held";q=5;qu="concurrent-requests"'
        held.end(5)
        assert {client.answer().status for client in clients} == {200}
        # Nobody of the one wants any more, and what it does not need goes back.
        until(lambda: other.get().status == 200, "the permit is there again")
        hold(other, held, stack, 4)
        assert events(one, "held")["failed"] == 0
        held.end(4)


def test_keys_have_permits_of_their_own(upstream: Serving, held: Held, store: Server) -> None:
    options = 'concurrency = 1\nkey = "header:X-User"\noverrides.bob = { concurrency = 2 }'
    with ExitStack() as stack, gateway(upstream, store, "keyed", options) as plane:
        for user, count in (("ann", 1), ("bob", 2)):
            fields = f"X-User: {user}\r\n"
            hold(plane, held, stack, count, fields)
            assert plane.get("/", fields).status == 503
        held.end(3)


def test_who_waits_in_a_queue_is_served_when_a_permit_ends_here_or_elsewhere(
    upstream: Serving, held: Held, store: Server
) -> None:
    options = 'concurrency = 2\nqueue = 5\nqueue_timeout = "60s"'
    with (
        ExitStack() as stack,
        gateway(upstream, store, "queued", options) as one,
        gateway(upstream, store, "queued", options) as other,
    ):
        here, there = hold(one, held, stack, 1), hold(other, held, stack, 1)
        waiting = begin(one, stack)
        until(lambda: one.statistics().exchanges == 2, "it waits")
        assert len(held.came) == 2
        held.end(1)
        assert here[0].answer().status == 200
        until(lambda: len(held.came) == 2, "what has ended here is taken by who waits")
        another = begin(one, stack)
        until(lambda: one.statistics().exchanges == 2, "it waits")
        held.end(1)
        assert there[0].answer().status == 200
        until(lambda: len(held.came) == 2, "what has ended elsewhere is borrowed for who waits")
        held.end(2)
        assert {waiting.answer().status, another.answer().status} == {200}


@pytest.mark.parametrize(("policy", "expected"), [("deny", 0), ("share", 4), ("allow", 8)])
@pytest.mark.parametrize("trouble", ["killed", "stopped"])
def test_store_that_is_away_or_silent_decides_as_is_said(
    upstream: Serving, held: Held, policy: str, expected: int, trouble: str
) -> None:
    options = f'concurrency = 4\non_store_failure = "{policy}"'
    with ExitStack() as stack:
        store = stack.enter_context(serving())
        plane = stack.enter_context(gateway(upstream, store, "away", options, cap="50ms"))
        until(lambda: plane.get().status == 200, "the store is there")
        until(lambda: store.ask("KEYS", "*:away") == [], "what was lent has gone back")
        if trouble == "killed":
            store.kill()
        else:
            store.stop(signal_=signal.SIGSTOP)
            stack.callback(store.stop, signal_=signal.SIGCONT)
        before = verdicts(plane, "away").get("refused", 0)
        clients = [begin(plane, stack) for _ in range(8)]
        refused = 8 - expected
        until(
            lambda: verdicts(plane, "away").get("refused", 0) == before + refused, "those are refused who are too many"
        )
        until(lambda: len(held.came) == expected, "the others are under way")
        held.end(expected)
        assert sorted(client.answer().status for client in clients) == [200] * expected + [503] * refused


def test_a_reload_forgets_nothing_that_is_under_way(upstream: Serving, held: Held, store: Server) -> None:
    with ExitStack() as stack, gateway(upstream, store, "reloaded", "concurrency = 3") as plane:
        hold(plane, held, stack, 3)
        plane.reload(
            f'[redis.main]\nurl = "redis://{store.address}"\n'
            '[limits.reloaded]\nscope = "fleet"\nstore = "main"\nlatency_cap = "1s"\nconcurrency = 4\n'
            f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
            '[[routes]]\nname = "all"\npath = "/*"\nupstream = "u"\nlimits = ["reloaded"]\ntimeout = "50s"\n'
        )
        hold(plane, held, stack, 1)
        assert plane.get().status == 503
        held.end(4)
        until(lambda: store.ask("KEYS", "*:reloaded") == [], "what was lent has gone back")


def test_dry_run_refuses_nobody_and_counts(upstream: Serving, held: Held, store: Server) -> None:
    with ExitStack() as stack, gateway(upstream, store, "dry", "concurrency = 1\ndry_run = true") as plane:
        until(lambda: plane.get().status == 200 and events(plane, "dry")["borrowed"] > 0, "it borrows on paper")
        hold(plane, held, stack, 3)
        until(lambda: verdicts(plane, "dry").get("would_refuse", 0) >= 2, "and refuses on paper")
        held.end(3)


def test_exactly_what_ends_at_one_gateway_is_had_at_another(upstream: Serving, held: Held, store: Server) -> None:
    options = 'concurrency = 2\nmode = "exact"'
    with (
        ExitStack() as stack,
        gateway(upstream, store, "exact", options) as one,
        gateway(upstream, store, "exact", options) as other,
    ):
        for here, there in ((one, other), (other, one)):
            hold(here, held, stack, 2)
            assert there.get().status == 503
            held.end(2)
