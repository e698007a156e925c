"""Limits of a fleet of which the store is asked for each request: all of a step as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from tests.plane.harness import Peer, Plane, until
from tests.plane.serving import Fields, Serving
from tests.plane.test_fleet_limits import answered, events
from tests.plane.test_limits import verdicts
from tests.redis.servers import Server, serving

pytestmark = pytest.mark.sanitize

KEY = "sha256:" + hashlib.sha256(b"k").hexdigest()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Serving]:
    with Serving(answered) as one:
        yield one


@pytest.fixture(scope="module")
def store() -> Iterator[Server]:
    with serving() as one:
        yield one


def gateway(upstream: Serving, store: Server, name: str, *limits: str, policy: str = "share") -> Plane:
    """A gateway with limits ``name``-0 …, which no other test has: stores remember."""
    listed = "".join(
        f'[limits.{name}-{number}]\nscope = "fleet"\nmode = "exact"\nstore = "main"\nlatency_cap = "1s"\n'
        f'on_store_failure = "{policy}"\n{options}\n'
        for number, options in enumerate(limits)
    )
    names = [f"{name}-{number}" for number in range(len(limits))]
    return Plane(
        f'[redis.main]\nurl = "redis://{store.address}"\n{listed}'
        f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{KEY}", subject = "ann", tenant = "acme" }}]\n'
        f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
        f'[[routes]]\nname = "all"\npath = "/*"\nupstream = "u"\nauth = "a"\nlimits = {names}\n'
    )


def statuses(plane: Plane, count: int, path: str = "/") -> list[int]:
    return [plane.get(path, "X-API-Key: k\r\n").status for _ in range(count)]


def test_nothing_is_lent_ahead_and_all_are_charged_or_none_is(upstream: Serving, store: Server) -> None:
    tenant = 'quota = 6\nwindow = "1d"\nwindow_kind = "first_use"\nkey = "auth.tenant"'
    path = 'rate = "2/h"\nburst = 1\nkey = ["auth.tenant", "path"]'
    with gateway(upstream, store, "all", tenant, path) as one, gateway(upstream, store, "all", tenant, path) as other:
        # Two for each path; those that the path refuses cost the tenant nothing.
        assert statuses(one, 1, "/a") + statuses(other, 3, "/a") == [200, 200, 429, 429]
        assert statuses(other, 3, "/b") == [200, 200, 429]
        assert statuses(one, 3, "/c") == [200, 200, 429]
        refusal = one.get("/d", "X-API-Key: k\r\n")
        assert (refusal.status, refusal.get("Tidegate-Limit")) == (429, "all-0")
        refused_by_path = [key for key in store.ask("KEYS", "*") if b":all-1:" in key]
        assert len(refused_by_path) == 3  # and nothing is charged to /d


def test_keys_of_a_tenant_share_a_slot(upstream: Serving, store: Server) -> None:
    limits = ('rate = "9/h"\nkey = "auth.tenant"', 'rate = "9/h"\nkey = ["auth.tenant", "path"]')
    with gateway(upstream, store, "slot", *limits) as plane:
        assert statuses(plane, 1) == [200]
        keys = [key.decode() for key in store.ask("KEYS", "*") if b":slot-" in key]
        assert len(keys) == 2
        assert len({key.partition("}")[0] for key in keys}) == 1


def test_what_another_limit_refuses_goes_back(upstream: Serving, store: Server) -> None:
    """The machine's own limit is looked at before the store is asked."""
    own = '[limits.own]\nrate = "1/d"\n'
    shared = (
        '[limits.back]\nquota = 5\nwindow = "1d"\nscope = "fleet"\nmode = "exact"\nstore = "main"\nlatency_cap = "1s"\n'
    )
    text = (
        f'[redis.main]\nurl = "redis://{store.address}"\n{own}{shared}'
        f'[upstreams.u]\nendpoints = ["{upstream.address}"]\n'
        '[[routes]]\nname = "all"\npath = "/*"\nupstream = "u"\nlimits = ["back", "own"]\n'
    )
    with Plane(text) as plane:
        assert [plane.get().status for _ in range(4)] == [200, 429, 429, 429]
        assert events(plane, "back")["borrowed"] == 1


@pytest.mark.parametrize(
    ("policy", "expected"), [("deny", [429] * 3), ("allow", [200] * 3), ("share", [200, 429, 429])]
)
def test_store_that_is_away_decides_as_is_said(upstream: Serving, policy: str, expected: list[int]) -> None:
    with serving() as store, gateway(upstream, store, "away", 'rate = "9/h"\nburst = 20', policy=policy) as plane:
        assert statuses(plane, 2) == [200, 200]
        store.kill()
        assert statuses(plane, 3) == expected
        until(lambda: events(plane, "away-0")["failed"] > 0, "the store is known to be away")
        store.start()
        until(lambda: statuses(plane, 1) == [200], "it lets in again")


def test_dry_run_is_asked_for_what_has_passed_and_refuses_on_paper(upstream: Serving, store: Server) -> None:
    dry = 'rate = "2/h"\nburst = 1\ndry_run = true'
    with gateway(upstream, store, "paper", dry, 'rate = "5/h"\nburst = 4') as plane:
        assert statuses(plane, 7) == [200] * 5 + [429] * 2

        def counted() -> bool:
            plane.call(plane.server.stores.report)
            return verdicts(plane, "paper-0") == {"admitted": 2, "would_refuse": 3}

        until(counted, "each that has passed is counted, and no other")


def test_permit_and_rate_of_a_request_are_one_question_and_both_are_taken_or_none(store: Server) -> None:
    came: list[Peer] = []

    def held(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        came.append(peer)

    limits = ('rate = "9/h"\nburst = 8\nkey = "auth.tenant"', 'concurrency = 1\nkey = "auth.tenant"')
    with Serving(held) as upstream, gateway(upstream, store, "both", *limits) as plane, plane.connect() as client:

        def arrival() -> str:
            (key,) = [one for one in store.ask("KEYS", "*") if b":both-0:" in one]
            return str(store.ask("GET", key).split()[0])

        client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\nX-API-Key: k\r\n\r\n")
        until(lambda: came, "it is under way")
        assert (events(plane, "both-0")["asked"], events(plane, "both-1")["borrowed"]) == (1, 1)
        before = arrival()
        refusal = plane.get("/", "X-API-Key: k\r\n")
        assert (refusal.status, refusal.get("Tidegate-Limit")) == (503, "both-1")
        assert arrival() == before
        came.pop().send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert client.answer().status == 200
