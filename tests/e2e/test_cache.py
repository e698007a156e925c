"""What is cached outlives workers and the gateway itself."""

import contextlib
import http.client
import os
import signal
import textwrap

import pytest
from benchmarks.ports import free_port
from tests.e2e.test_processes import running
from tests.process.gateway import are_gone, eventually

from tidegate.cache.machine import directory_for
from tidegate.memory.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

KEYS = 1000

PACKAGE = '''
"""A filter whose answers are dear: each is a line of a file."""

from pathlib import Path

from tidegate import Filter, Request, Response, required


class Dear(Filter):
    """Answers from its cache."""

    asked: str = required("file that is longer by a line for each answer that was not known")

    async def on_request(self, request: Request) -> Response | None:
        return Response(200, await self.caches["dear"].get(request.path, self.find_out))

    async def find_out(self, path):
        with Path(self.asked).open("a") as file:
            file.write(f"{path}\\n")
        return f"value of {path}".encode()
'''


def written(path):
    (path / "dear.py").write_text(textwrap.dedent(PACKAGE))
    (path / "asked").write_text("")
    file = path / "gateway.toml"
    file.write_text(
        f"""
[server]
workers = 2
admin = "127.0.0.1:{free_port()}"
state_dir = "state"
filter_packages = ["dear"]
[[listeners]]
bind = "127.0.0.1:{free_port()}"
[cache.dear]
memory = "8MiB"
machine = "32MiB"
ttl = "1h"
[filters.dear]
class = "dear:Dear"
asked = "{path}/asked"
[[routes]]
name = "all"
filters = ["dear"]
respond = {{}}
"""
    )
    return file


def ask_for_all(address):
    """Every key, over connections that may go to any worker."""
    for begin in range(0, KEYS, 100):
        connection = http.client.HTTPConnection(address, timeout=60)
        for number in range(begin, begin + 100):
            connection.request("GET", f"/{number}")
            assert connection.getresponse().read() == f"value of /{number}".encode()
        connection.close()


def test_a_thousand_hot_keys_cost_nothing_after_the_death_of_everybody(tmp_path, monkeypatch):
    file = written(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    asked = tmp_path / "asked"

    def lines():
        return len(asked.read_text().splitlines())

    with running(tmp_path, "run", file) as gateway:
        ask_for_all(gateway.listener)
        assert lines() == KEYS
        eventually(lambda: stored(tmp_path, file) == KEYS, "all are stored: nobody who asked waited for that")
        killed = gateway.workers()
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: are_gone(killed), "the workers are gone")
        eventually(lambda: serves(gateway.listener), "others serve")
        ask_for_all(gateway.listener)
        assert lines() == KEYS, "every worker was killed, and nothing was fetched again"
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    with running(tmp_path, "run", file) as gateway:
        ask_for_all(gateway.listener)
        assert lines() == KEYS, "nor after a restart"


def stored(path, file):
    """How many values the machine has."""
    store = Store.open(path / "run" / "caches" / directory_for(str(file)).name / "dear", 32 << 20, say=print)
    try:
        return store.statistics().entries
    finally:
        store.close()


def serves(address):
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", "/0")
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
