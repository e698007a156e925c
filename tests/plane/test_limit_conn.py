"""Limits of concurrency with `burst` and `unit_delay`, as clients meet them: the form of lua-resty limit.conn."""

from __future__ import annotations

import time

import pytest
from tests.plane.harness import Upstream, until
from tests.plane.test_limits import OK, holding, leave, queued, slowly, verdicts

pytestmark = pytest.mark.sanitize


def conn(unit_delay: str) -> str:
    return f'[limits.two]\nconcurrency = 1\nburst = 2\nunit_delay = "{unit_delay}"\n'


def test_those_beyond_the_bound_wait_in_units_and_beyond_the_burst_are_refused() -> None:
    with Upstream() as slow, slowly(slow, conn("300ms")) as plane:
        with holding(plane, slow, 1) as ((client, server),):
            began_s = time.monotonic()
            with queued(plane, 2) as waiting:
                refused = plane.get()
                assert (refused.status, refused.get("Tidegate-Limit")) == (503, "two")
                served = [slow.accept() for _ in waiting]
                took_s = time.monotonic() - began_s
                # They came one after the other, so that one waits one unit and the other two; and nobody has ended.
                assert [one.request()[0] for one in served] == ["GET /0 HTTP/1.1", "GET /1 HTTP/1.1"]
                assert took_s >= 2 * 0.3 - 0.002
                for one, other in zip(waiting, served, strict=True):
                    other.send(OK)
                    assert one.answer().status == 200
                    other.close()
                server.send(OK)
                assert client.answer().status == 200
        assert verdicts(plane, "two") == {"admitted": 1, "delayed": 2, "refused": 1}
        until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert plane.region.inflight().rows_that_count() == 0


def test_who_leaves_while_he_is_held_back_gives_his_permit_back() -> None:
    with Upstream() as slow, slowly(slow, conn("1h"), 'limits = ["two"]\ntimeout = "9h"') as plane:
        with holding(plane, slow, 1) as ((client, server),):
            for _ in range(3):
                with queued(plane, 2) as waiting:
                    assert plane.get().status == 503
                    for one in waiting:
                        leave(one)
                until(lambda: plane.statistics().exchanges == 1, "they have left")
            server.send(OK)
            assert client.answer().status == 200
        until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert plane.region.inflight().rows_that_count() == 0


def test_wait_beyond_the_deadline_of_the_exchange_is_refused_at_once_and_its_permit_given_back() -> None:
    with Upstream() as slow, slowly(slow, conn("1h"), 'limits = ["two"]\ntimeout = "30m"') as plane:
        with holding(plane, slow, 1) as ((client, server),):
            for _ in range(3):
                refused = plane.get()
                assert (refused.status, refused.get("Tidegate-Limit")) == (503, "two")
            server.send(OK)
            assert client.answer().status == 200
        assert verdicts(plane, "two") == {"admitted": 1, "refused": 3}


def test_what_requests_take_is_learned_and_their_waiting_is_not() -> None:
    """A unit of an hour is a second after so many requests that take no time, and who waits it adds nothing to it."""
    with Upstream() as slow, slowly(slow, conn("1h"), 'limits = ["two"]\ntimeout = "9h"') as plane:
        with holding(plane, slow, 1) as ((client, server),):
            for at in range(14):
                if at:
                    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
                    server.request()
                server.send(OK)
                assert client.answer().status == 200
        with holding(plane, slow, 1) as ((client, server),), queued(plane, 1) as (waiting,):
            with slow.accept() as other:
                other.request()
                other.send(OK)
                assert waiting.answer().status == 200
            server.send(OK)
            assert client.answer().status == 200
        assert verdicts(plane, "two")["delayed"] == 1
