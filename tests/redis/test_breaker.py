"""The breaker: what opens it, what closes it, and that each change is one line."""

from __future__ import annotations

from tests.redis.links import Log

from tidegate.errors import GatewayError, Kind, Retry
from tidegate.redis.breaker import FAILURES, Breaker

REFUSED = GatewayError(Kind.CONNECTION_REFUSED, "127.0.0.1:6379: Connection refused")
SILENT = GatewayError(Kind.CONNECTION_READ_TIMEOUT, "main: no reply in time")


def test_failures_in_a_row_open_it_and_one_line_says_so() -> None:
    log = Log()
    breaker = Breaker("main", log.say)
    opened = [breaker.failed(SILENT, now_s) for now_s in range(FAILURES + 5)]
    assert opened.count(True) == 1 and opened[FAILURES - 1]
    assert log.kinds == ["redis_unavailable"]
    assert log[0].fields == {"redis": "main", "failure": "connection_read_timeout"}


def test_what_is_heard_in_between_starts_the_count_anew() -> None:
    breaker = Breaker("main", Log().say)
    for now_s in range(20):
        assert not breaker.failed(SILENT, now_s)
        assert not breaker.heard(now_s)
    assert not breaker.is_open


def test_one_failure_is_enough_when_nobody_is_connected() -> None:
    breaker = Breaker("main", Log().say)
    assert breaker.failed(REFUSED, 1.0, at_once=True)
    assert breaker.is_open and breaker.opened == 1


def test_refusals_say_what_opened_it_and_are_each_their_own() -> None:
    log = Log()
    breaker = Breaker("main", log.say)
    breaker.failed(REFUSED, 1.0, at_once=True)
    first, second = breaker.refusal(), breaker.refusal()
    assert first is not second
    assert (first.kind, first.status, first.retry) == (Kind.CONNECTION_REFUSED, 503, Retry.YES)
    assert breaker.heard(4.5)
    assert not breaker.heard(5.0)
    assert log.kinds == ["redis_unavailable", "redis_available"]
    assert log[1].message == "redis main: answers again after 3.5 s, 2 commands refused"
    assert not breaker.is_open
