"""Adaptive limits as clients and upstreams meet them: what holds, what is taught, and what is not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.test_limits import AUTH, OK, SERVER, holding, leave, queued, slowly, verdicts

from tidegate.memory.adaptive import Counts

pytestmark = pytest.mark.sanitize

LEARNS = (
    '[limits.two]\nadaptive = { algorithm = "aimd", floor = 1, initial = 2, samples_min = 1, interval = "100ms" }\n'
)
# Never decides, so that what was taught can be looked at.
LISTENS = (
    '[limits.two]\nadaptive = { floor = 1, initial = 20, samples_min = 1000000, samples = 1000000, interval = "1h", '
    'waiting_field = "X-Queue-Time", window = "10h" }\n'
)
ROW = 0


def learned(plane: Plane) -> int:
    return plane.region.adaptive(0).learned(ROW)


def taught(plane: Plane) -> Counts:
    """What was counted until now; the next look begins with nothing."""
    shared = plane.region.adaptive(0)
    shared.begin(ROW, 2)  # if nobody has asked for it
    interval = shared.take_turn(ROW, time.monotonic_ns(), shortest_ns=0, interval_ns=0, samples_min=0, samples=0)
    assert interval is not None
    return shared.gather(ROW, interval)


def answer(pairs: list[tuple[Peer, Peer]], text: bytes = OK) -> set[int]:
    for _, server in pairs:
        server.send(text)
    return {client.answer().status for client, _ in pairs}


def test_initial_limit_holds_and_a_refusal_names_it() -> None:
    with Upstream() as slow, slowly(slow, LEARNS) as plane, holding(plane, slow, 2) as pairs:
        refused = plane.get()
        assert (refused.status, refused.get("Tidegate-Limit"), refused.get("Retry-After")) == (503, "two", "1")
        assert refused.get("RateLimit-Policy") is None, "the number is another one soon"
        assert json.loads(refused.body)["title"] == "Too many requests at once"
        assert answer(pairs) == {200}
        assert verdicts(plane, "two") == {"admitted": 2, "refused": 1}


def test_limit_grows_while_it_is_used_and_falls_with_drops() -> None:
    with Upstream() as slow, slowly(slow, LEARNS) as plane:
        for expected in (3, 4, 5):
            with holding(plane, slow, expected - 1) as pairs:
                assert plane.get().status == 503
                answer(pairs)
            until(lambda: learned(plane) == expected, f"the limit is {expected}")  # noqa: B023 - called here only
        with holding(plane, slow, 5) as pairs:
            answer(pairs, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        until(lambda: learned(plane) == 4, "it has fallen")


def test_limit_that_is_hardly_used_does_not_grow() -> None:
    limit = LEARNS.replace("initial = 2", "initial = 8, ceiling = 9")
    with Upstream() as slow, slowly(slow, limit) as plane:
        for _ in range(3):
            with holding(plane, slow, 1) as pairs:
                answer(pairs)
            until(lambda: not plane.region.adaptive(0).is_due(ROW, 1 << 62, 0, 1), "it was decided")
        assert learned(plane) == 8
        with holding(plane, slow, 8) as pairs:
            answer(pairs)
        until(lambda: learned(plane) == 9, "it was used")


@contextmanager
def listening(route: str = "", more: str = "") -> Iterator[tuple[Upstream, Plane]]:
    with Upstream() as slow, slowly(slow, more + LISTENS, f'limits = ["two"]\n{route}') as plane:
        yield slow, plane


def test_sample_is_the_time_until_the_answer_and_how_many_were_under_way() -> None:
    with listening() as (slow, plane), holding(plane, slow, 3) as pairs:
        before_ns = time.monotonic_ns()
        answer(pairs)
        until(lambda: plane.statistics().exchanges == 0, "over")
        counts = taught(plane)
        assert (counts.ended, counts.drops, counts.in_flight_max, counts.in_flight_sum) == (3, 0, 3, 6)
        assert 0 < counts.started_ns <= before_ns
        assert counts.latency_sum_ns > 0
        assert counts.waited == 0


def test_waiting_that_the_upstream_reports_is_counted() -> None:
    with listening() as (slow, plane), holding(plane, slow, 2) as pairs:
        answer(pairs[:1], b"HTTP/1.1 200 OK\r\nx-queue-time: 5000.5\r\nContent-Length: 0\r\n\r\n")
        answer(pairs[1:], b"HTTP/1.1 200 OK\r\nX-Queue-Time: soon\r\nContent-Length: 0\r\n\r\n")
        until(lambda: plane.statistics().exchanges == 0, "over")
        counts = taught(plane)
        assert (counts.ended, counts.waited) == (2, 1)
        assert sum(counts.waitings) == 1
        assert counts.waitings.index(1) > 90, "five seconds"


@pytest.mark.parametrize("how", ["client", "reset", "filter", "early", "refused"])
def test_what_says_nothing_of_the_upstreams_load_teaches_nothing(how: str) -> None:
    more = (
        f'{AUTH}[filters.closed]\nclass = "tidegate.filters.fixed_answer:FixedAnswer"\nstatus = 418\n'
        if how == "filter"
        else ""
    )
    with listening('filters = ["closed"]' if how == "filter" else "", more) as (slow, plane):
        if how == "filter":
            assert [plane.get().status for _ in range(3)] == [418] * 3
        elif how == "refused":
            slow.refuse()
            assert plane.get().status == 502
        elif how == "early":
            with plane.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello")
                with slow.accept() as server:
                    server.head()
                    server.send(OK)
                    assert client.answer().status == 200
        else:
            with holding(plane, slow, 2) as pairs:
                for client, server in pairs:
                    if how == "client":
                        leave(client)
                    else:
                        server.reset()
        until(lambda: plane.statistics().exchanges == 0, "they have ended")
        assert taught(plane).ended == 0


@pytest.mark.parametrize("how", ["timeout", "read_timeout", "status", "pool"])
def test_what_means_overload_is_a_drop(how: str) -> None:
    route = 'timeout = "200ms"' if how == "timeout" else ""
    upstream = {"read_timeout": 'read_timeout = "200ms"', "pool": "pool = { max = 1, idle = 1, wait = 0 }"}.get(how, "")
    text = f"[limits.two]\n{LISTENS.partition(chr(10))[2]}"
    with Upstream() as slow:
        config = (
            f'{text}\n[upstreams.u]\nendpoints = ["{slow.address}"]\n{upstream}\n'
            f'[[routes]]\nname = "all"\nupstream = "u"\nlimits = ["two"]\n{route}\n'
        )
        with Plane(config, server=SERVER) as plane:
            with holding(plane, slow, 1) as pairs:
                if how == "status":
                    assert answer(pairs, b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n") == {504}
                elif how == "pool":
                    assert plane.get().status == 503
                    assert answer(pairs) == {200}
                else:
                    assert pairs[0][0].answer().status == 504
            until(lambda: plane.statistics().exchanges == 0, "they have ended")
            counts = taught(plane)
            assert (counts.ended, counts.drops) == ((2, 1) if how == "pool" else (1, 1))


def test_who_waits_for_a_permit_gets_one_when_the_limit_rises() -> None:
    limit = LISTENS.replace("initial = 20", "initial = 1") + 'queue = 2\nqueue_timeout = "60s"\n'
    with (
        Upstream() as slow,
        slowly(slow, limit) as plane,
        holding(plane, slow, 1) as pairs,
        queued(plane, 2) as waiting,
    ):
        shared = plane.region.adaptive(0)
        shared.publish(ROW, 1 << 60, 3, 0, b"")  # as another worker does
        for client in waiting:
            with slow.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().status == 200
        assert answer(pairs) == {200}
        assert verdicts(plane, "two") == {"admitted": 1, "delayed": 2}


def test_each_key_learns_for_itself() -> None:
    limit = LEARNS.replace("initial = 2", "initial = 1, keys = 2") + 'key = "header:X-User"\n'
    ann, bob = "X-User: ann\r\n", "X-User: bob\r\n"
    with Upstream() as slow, slowly(slow, limit) as plane:
        with holding(plane, slow, 1, ann) as pairs:
            assert [plane.get(headers=fields).status for fields in (ann,)] == [503]
            answer(pairs)
        until(lambda: learned(plane) == 2, "ann's has grown")
        with holding(plane, slow, 2, ann) as two, holding(plane, slow, 1, bob) as one:
            assert [plane.get(headers=fields).status for fields in (ann, bob)] == [503, 503]
            answer([*two, *one])


def test_what_was_learned_stays_over_a_reload() -> None:
    with Upstream() as slow, slowly(slow, LEARNS) as plane:
        with holding(plane, slow, 2) as pairs:
            answer(pairs)
        until(lambda: learned(plane) == 3, "it has grown")
        rest = f'[upstreams.u]\nendpoints = ["{slow.address}"]\n[[routes]]\nname = "all"\nupstream = "u"\n'
        plane.reload(LEARNS.replace("floor = 1", "floor = 2") + rest + 'limits = ["two"]\n', server=SERVER)
        with holding(plane, slow, 3) as pairs:
            assert plane.get().status == 503
            answer(pairs)
        plane.reload(
            "[limits.other]\nadaptive = { floor = 1, initial = 1 }\n" + rest + 'limits = ["other"]\n', server=SERVER
        )
        with holding(plane, slow, 1) as pairs:
            assert plane.get().get("Tidegate-Limit") == "other"
            answer(pairs)
