"""Development mode, by the configuration and by the command line, and what is not loaded without it."""

import re
import subprocess
import sys

import pytest
from tests.process.stalling import get, place_of, stalling

from tidegate.config.server import Server
from tidegate.process.development import VARIABLE, is_on


def test_option_or_variable_switches_it_on(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not is_on(Server())
    assert is_on(Server(development=True))
    monkeypatch.setenv(VARIABLE, "1")
    assert is_on(Server())


def test_nothing_is_loaded_for_it_until_a_snapshot_asks():
    script = """
import sys
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process.development import Development
import tidegate.process.worker
one = Development()
one.follow(Gateway(listeners=(Listener(bind="127.0.0.1:1"),)), print)
one.tick()
assert "tidegate.observe.blocking_calls" not in sys.modules
one.follow(Gateway(server=Server(development=True), listeners=(Listener(bind="127.0.0.1:1"),)), print)
assert "tidegate.observe.blocking_calls" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.e2e
@pytest.mark.parametrize("way", ["option", "variable"])
def test_blocking_call_of_a_filter_is_named_and_so_is_a_short_stall(monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv(VARIABLE, "1")
    with stalling(workers=1, development=way == "option") as gateway:
        assert b"200 OK" in get(gateway, "/sleep/0.08")
        gateway.hear("kind=blocking_call")
        line = gateway.said[-1]
        file, _, number = place_of("sleep").rpartition(":")
        assert f"call=time.sleep file={file} line={number} function=_sleep" in line
        assert "instead: await asyncio.sleep" in line
        assert re.search(r'filter="holds or later"', line)


@pytest.mark.e2e
def test_without_it_no_call_is_named(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with stalling(workers=1) as gateway:
        assert b"200 OK" in get(gateway, "/sleep/0.01")
        gateway.signal(15)
        assert not [line for line in gateway.everything_said() if "blocking_call" in line]
