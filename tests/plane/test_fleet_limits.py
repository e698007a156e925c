"""Limits of a whole fleet as clients meet them: several gateways, one store that is there, away, or silent."""

from __future__ import annotations

import itertools
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.plane.harness import Peer, Plane, until
from tests.plane.serving import Fields, Serving
from tests.redis.servers import Server, serving

from tidegate.memory.meters import FLEET_EVENTS, MeterReader
from tidegate.testing.relay import Relay

SMALL = 'rate = "10/h"\nburst = 9'


def answered(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
    status = b"401 Unauthorized" if line.startswith("GET /401") else b"200 OK"
    peer.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Serving]:
    with Serving(answered) as one:
        yield one


@pytest.fixture(scope="module")
def store() -> Iterator[Server]:
    with serving() as one:
        yield one


def gateway(
    upstream: Serving,
    store: Server,
    name: str,
    options: str,
    *,
    where: str = "route",
    listener: str = "",
    cap: str = "1s",
    address: str = "",
) -> Plane:
    """A gateway with the limit ``name``, which no other test has: stores remember."""
    on_route = f'limits = ["{name}"]' if where == "route" else ""
    return Plane(
        f'[redis.main]\nurl = "redis://{address or store.address}"\n'
        f'[limits.{name}]\nscope = "fleet"\nstore = "main"\nlatency_cap = "{cap}"\n{options}\n'
        f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
        f'[[routes]]\nname = "all"\npath = "/*"\nupstream = "u"\n{on_route}\n',
        listener=listener,
    )


def statuses(plane: Plane, count: int, fields: str = "") -> list[int]:
    return [plane.get("/", fields).status for _ in range(count)]


def events(plane: Plane, name: str) -> dict[str, int]:
    """What was counted for `/metrics` of a limit and its store."""
    plane.call(plane.server.stores.report)
    reader = MeterReader(plane.region.mapping)
    counts = reader.read("fleet", name, reader.places().get(("fleet", name), [])).classes
    return dict(zip(FLEET_EVENTS, counts, strict=False))


def test_gateways_allow_together_what_one_would_and_a_refusal_says_when_to_come_again(
    upstream: Serving, store: Server
) -> None:
    with (
        gateway(upstream, store, "together", SMALL) as one,
        gateway(upstream, store, "together", SMALL) as other,
    ):
        found = [plane.get().status for _ in range(8) for plane in (one, other)]
        assert found == [200] * 10 + [429] * 6
        refusal = other.get()
        assert refusal.get("Tidegate-Limit") == "together"
        assert int(refusal.get("Retry-After") or 0) >= 1
        assert events(one, "together")["borrowed"] == events(other, "together")["borrowed"] == 5


def test_keys_have_allowances_of_their_own(upstream: Serving, store: Server) -> None:
    options = 'rate = "2/h"\nburst = 1\nkey = "header:X-User"'
    with gateway(upstream, store, "keyed", options) as one, gateway(upstream, store, "keyed", options) as other:
        for user in ("ann", "bob"):
            fields = f"X-User: {user}\r\n"
            assert statuses(one, 1, fields) + statuses(other, 3, fields) == [200, 200, 429, 429]


def test_while_credits_are_there_the_store_is_not_asked(upstream: Serving) -> None:
    with serving() as store, gateway(upstream, store, "ahead", 'rate = "100/s"\nburst = 1000') as plane:
        with plane.connect() as client:
            for _ in range(300):
                client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
                assert client.answer().status == 200
        counted = events(plane, "ahead")
        assert 0 < counted["asked"] <= 300 / 5  # chunks of 20
        assert counted["failed"] == counted["self_lent"] == 0


def test_gateways_share_a_quota_and_a_refusal_names_it(upstream: Serving, store: Server) -> None:
    options = 'quota = 6\nwindow = "1d"\nwindow_kind = "first_use"'
    with gateway(upstream, store, "daily", options) as one, gateway(upstream, store, "daily", options) as other:
        assert [plane.get().status for _ in range(4) for plane in (one, other)] == [200] * 6 + [429] * 2
        refusal = one.get()
        assert refusal.get("RateLimit-Policy") == '"daily";q=6;w=86400'


def test_costs_are_whole_or_not_at_all(upstream: Serving, store: Server) -> None:
    options = f'{SMALL}\ncost = "header:X-Cost"'
    with gateway(upstream, store, "costly", options) as plane:
        assert [plane.get("/", f"X-Cost: {cost}\r\n").status for cost in (4, 7, 6, 1)] == [200, 429, 200, 429]


def test_limit_of_a_listener_waits_for_the_store_as_well(upstream: Serving, store: Server) -> None:
    listener = 'limits = ["edge"]'
    with gateway(upstream, store, "edge", SMALL, where="listener", listener=listener) as plane:
        assert statuses(plane, 12) == [200] * 10 + [429] * 2
        assert plane.counters()["exchanges_async_limit"] >= 10


def test_client_that_has_sent_all_it_had_is_served_when_the_store_has_answered(
    upstream: Serving, store: Server
) -> None:
    with gateway(upstream, store, "halfway", SMALL) as plane, plane.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.answer().status == 200


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("deny", [429] * 4), ("allow", [200] * 4), ("share", [200, 429, 429, 429])],
)
@pytest.mark.parametrize("trouble", ["killed", "stopped"])
def test_store_that_is_away_or_silent_decides_as_is_said(
    upstream: Serving, policy: str, expected: list[int], trouble: str
) -> None:
    options = f'rate = "3/h"\nburst = 30\non_store_failure = "{policy}"'
    with ExitStack() as stack:
        store = stack.enter_context(serving())
        plane = stack.enter_context(gateway(upstream, store, "away", options))
        assert statuses(plane, 2) == [200, 200]
        if trouble == "killed":
            store.kill()
        else:
            store.stop(signal_=signal.SIGSTOP)
            stack.callback(store.stop, signal_=signal.SIGCONT)
        assert statuses(plane, 4) == expected
        until(lambda: events(plane, "away")["failed"] > 0, "the store is known to be away")


def test_what_was_let_in_without_the_store_is_told_when_it_is_back(upstream: Serving) -> None:
    options = f'{SMALL}\non_store_failure = "allow"'
    with serving() as store, gateway(upstream, store, "merged", options) as plane:
        assert statuses(plane, 1) == [200]
        store.kill()
        assert statuses(plane, 30) == [200] * 30
        store.start()  # it has forgotten what it knew

        def is_known() -> bool:
            keys = [key for key in store.ask("KEYS", "*") if key.endswith(b":merged")]
            return bool(keys) and store.ask("PTTL", keys[0]) > 3_000_000

        until(is_known, "the store knows of a bucket that is empty")
        until(lambda: plane.get().status == 429, "the allowance is used up")


def test_a_reload_borrows_on_and_forgets_nothing(upstream: Serving, store: Server) -> None:
    with gateway(upstream, store, "reloaded", SMALL) as plane:
        assert statuses(plane, 6) == [200] * 6
        text = (
            f'[redis.main]\nurl = "redis://{store.address}"\n'
            f'[limits.reloaded]\nscope = "fleet"\nstore = "main"\nlatency_cap = "1s"\n{SMALL}\n'
            f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
            '[[routes]]\nname = "all"\npath = "/*"\nupstream = "u"\nlimits = ["reloaded"]\ntimeout = "9s"\n'
        )
        plane.reload(text)
        assert statuses(plane, 6) == [200] * 4 + [429] * 2
        assert events(plane, "reloaded")["borrowed"] == 10


def test_gateways_count_guesses_together_and_nobody_who_knows(upstream: Serving, store: Server) -> None:
    options = 'rate = "2/h"\nburst = 2\ncharge = "on_failure"\nkey = "client.ip"'
    with gateway(upstream, store, "guess", options) as one, gateway(upstream, store, "guess", options) as other:
        assert statuses(one, 5) + statuses(other, 5) == [200] * 10
        # What looks have taken comes back within a second or so.
        for plane in (one, other, one):
            until(lambda plane=plane: plane.get("/401").status == 401, "one more may be guessed")
        until(lambda: other.get("/401").status == one.get("/401").status == 429, "what was guessed at both counts")
        assert statuses(one, 1) + statuses(other, 1) == [429] * 2


def test_guesses_that_are_under_way_together_are_all_told_to_the_store(store: Server) -> None:
    came: list[Peer] = []

    def held(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        came.append(peer)

    options = 'rate = "2/h"\nburst = 1\ncharge = "on_failure"\nkey = "client.ip"'
    with ExitStack() as stack, Serving(held) as slow, gateway(slow, store, "guesses", options) as plane:
        clients = [stack.enter_context(plane.connect()) for _ in range(4)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        until(lambda: len(came) == 4, "all are under way")
        for peer in came:
            peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        assert [client.answer().status for client in clients] == [401] * 4
        # Two are free, and each takes half an hour.
        (key,) = [one for one in store.ask("KEYS", "*") if one.endswith(b":guesses")]
        until(lambda: store.ask("PTTL", key) > 3.9 * 1_800_000, "all four are known")


def test_dry_run_refuses_nobody_and_counts(upstream: Serving, store: Server) -> None:
    with gateway(upstream, store, "dry", 'rate = "2/h"\nburst = 1\ndry_run = true') as plane:
        assert set(statuses(plane, 8)) == {200}
        until(lambda: events(plane, "dry")["borrowed"] > 0, "it borrows on paper")


def test_latency_cap_decides_before_a_slow_store_has_answered(upstream: Serving, store: Server) -> None:
    options = f'{SMALL}\nkey = "header:X-User"\non_store_failure = "deny"'
    users = itertools.count()

    def status(plane: Plane) -> int:
        """Of somebody whom no gateway knows yet: the store has to be asked."""
        return plane.get("/", f"X-User: u{next(users)}\r\n").status

    with Relay(store.address) as relay:
        relay.delay_s = 0.12  # each way, which is still an answer
        with (
            gateway(upstream, store, "slow", options, address=relay.address) as patient,
            gateway(upstream, store, "slow", options, address=relay.address, cap="2ms") as hasty,
        ):
            until(lambda: status(patient) == 200, "the answer is waited for")
            until(lambda: status(hasty) == 429, "it is not waited for")
            until(lambda: events(hasty, "slow")["borrowed"] > 0, "and comes all the same")
