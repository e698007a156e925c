"""The figures of the link to Redis, in small; the real ones take a minute and are run by hand."""

import asyncio
import re
from pathlib import Path

import hiredis
import pytest
import uvloop
from benchmarks.redis import KNOWN, burst, link, sessions
from benchmarks.redis.server import valkey

from tidegate.config.check import check_text

DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text()


def run(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def test_each_is_named_where_its_promise_is():
    assert set(re.findall(r"python -m benchmarks ([a-z-]+)", DESIGN)) >= set(KNOWN)


def test_sessions_are_asked_for_as_the_configuration_has_them():
    before = '[server]\nfilter_packages = ["benchmarks"]\n[[listeners]]\nbind = "127.0.0.1:1"\n'
    snapshot, findings = check_text(before + sessions.configured(6379, 9001))
    assert findings == []
    assert {path for path, _ in sessions.LOADS.values()} <= {route.path for route in snapshot.gateway.routes}


async def nobody_else(port, ending):
    """Other clients are not for the process of the tests: one of them warns when its modules are looked at."""
    return []


def test_everybody_is_asked_and_judged(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(link, "others", nobody_else)
    with valkey() as (port, _):
        found = run(link.measure(port, 1, 0.01, None))
    assert {"tidegate", "trial", "tidegate, one caller", "raw, one caller"} <= set(found)
    assert all(one.rate > 0 and one.cost_us > 0 for one in found.values())
    verdicts = link.verdicts(found)
    assert len(verdicts) == 4
    assert [one.met for one in verdicts[:3]] == [None] * 3, "what is not there is not measured"


def test_a_burst_opens_one_socket_and_merges_and_the_naive_pool_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(burst, "TASKS", 1000)
    monkeypatch.setattr(burst, "ARRIVING_S", 0.05)
    with valkey() as (port, _):
        rows, verdicts = run(burst.measure(port))
    sockets, _, merged, *lingers = verdicts
    assert sockets.reached == 1 and sockets.met
    assert merged.met
    assert int(rows[-1]["sockets opened"].replace(",", "")) > 1
    assert len(rows) == 5
    assert len(lingers) == 3 and all(one.reached is not None for one in lingers)


def test_a_transport_that_notes_knows_when_each_command_was_written():
    given = []

    class Transport(asyncio.Transport):
        def write(self, data):
            given.append(data)

    written = burst.Written(Transport(), [])
    written.write(hiredis.pack_command(("SET", "a", "1")) + hiredis.pack_command(("SET", "b", "2")))
    written.write(hiredis.pack_command(("SET", "c", "3")))
    first, second, third = written.at
    assert first == second <= third
    assert len(given) == 2
    assert written.get_extra_info("socket") is None, "it is the transport in all else"
