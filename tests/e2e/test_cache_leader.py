"""The worker that fetches for all is killed or stopped in the middle, or the store is held by a stopped process."""

import http.client
import os
import signal
import textwrap
import threading

import pytest
from benchmarks.ports import free_port
from tests.e2e.test_processes import running
from tests.memory.store.stores import STANDS_IN_THE_LOCK, Process
from tests.process.gateway import eventually

from tidegate.cache.machine import directory_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CALLERS = 24

PACKAGE = '''
"""A filter whose answer takes as long as a test wants."""

import asyncio
import os
from pathlib import Path

from tidegate import Filter, Request, Response, required


class Slow(Filter):
    """Answers from its cache; who fetches says so in a file, and waits until another is there."""

    place: str = required("directory of both files")

    async def on_request(self, request: Request) -> Response | None:
        if request.path == "/who":
            return Response(200, str(os.getpid()).encode())
        name = request.path.split("/")[1]
        return Response(200, await self.caches[name].get(request.path, self.find_out))

    async def find_out(self, path):
        with (Path(self.place) / "asked").open("a") as file:
            file.write(f"{os.getpid()} {path}\\n")
        while not (Path(self.place) / "go").exists():
            await asyncio.sleep(0.01)
        return b"found"
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where all files of the gateway are."""
    return tmp_path_factory.mktemp("leader")


@pytest.fixture(scope="module")
def gateway(place):
    """Two workers that fetch slowly, with a long lease (/long) and a short one (/short)."""
    (place / "slow.py").write_text(textwrap.dedent(PACKAGE))
    (place / "asked").touch()
    caches = "".join(
        f"""
[cache.{name}]
memory = "8MiB"
machine = "32MiB"
ttl = "1h"
wait = "2m"
load_timeout = "{lease}"
"""
        for name, lease in (("long", "2m"), ("short", "1500ms"))
    )
    file = place / "gateway.toml"
    file.write_text(
        f"""
[server]
workers = 2
admin = "127.0.0.1:{free_port()}"
state_dir = "state"
filter_packages = ["slow"]
[[listeners]]
bind = "127.0.0.1:{free_port()}"
{caches}
[filters.slow]
class = "slow:Slow"
place = "{place}"
[[routes]]
name = "all"
filters = ["slow"]
timeout = "3m"
respond = {{}}
"""
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", f"{place}:{os.environ.get('PYTHONPATH', '')}")
        with running(place, "run", file) as started:
            yield started


@pytest.fixture(autouse=True)
def _anew(gateway, place):
    """Both workers serve, and nobody has fetched anything."""
    eventually(lambda: len({who(gateway.listener) for _ in range(10)} - {None}) == 2, "both workers serve")
    (place / "asked").write_text("")
    (place / "go").unlink(missing_ok=True)


def who(address):
    """The pid of a worker, by a connection of its own; None when that was reset."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", "/who")
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def asked(place):
    """The pids of those who have fetched, in their order."""
    return [int(line.split()[0]) for line in (place / "asked").read_text().splitlines()]


class Callers:
    """Many who ask for one key at once, over connections of their own, so that both workers are asked."""

    def __init__(self, address, path):
        self.answers = []
        self.threads = [threading.Thread(target=self.ask, args=(address, path)) for _ in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def ask(self, address, path):
        connection = http.client.HTTPConnection(address, timeout=200)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            self.answers.append((answer.status, answer.read()))
        except (OSError, http.client.HTTPException):
            self.answers.append(None)
        finally:
            connection.close()

    def join(self):
        for thread in self.threads:
            thread.join()
        return self.answers


def test_killed_leader_is_followed_by_one_other_and_who_was_with_him_alone_fails(gateway, place):
    callers = Callers(gateway.listener, "/long/killed")
    eventually(lambda: asked(place), "somebody fetches")
    os.kill(asked(place)[0], signal.SIGKILL)
    eventually(lambda: len(asked(place)) == 2, "another fetches: his lease of two minutes was not waited for")
    (place / "go").touch()
    answers = callers.join()
    assert set(answers) <= {(200, b"found"), None}
    assert (200, b"found") in answers
    first, second = asked(place)
    assert first != second


def test_stopped_leader_is_followed_when_his_lease_ends(gateway, place):
    callers = Callers(gateway.listener, "/short/stopped")
    eventually(lambda: asked(place), "somebody fetches")
    stopped = asked(place)[0]
    os.kill(stopped, signal.SIGSTOP)
    eventually(lambda: set(asked(place)) - {stopped}, "the other worker fetches")
    (place / "go").touch()
    os.kill(stopped, signal.SIGCONT)
    assert (200, b"found") in callers.join()


def test_store_in_the_hands_of_a_stopped_process_holds_up_no_request(gateway, place):
    (place / "go").touch()
    store = place / "run" / "caches" / directory_for(str(place / "gateway.toml")).name / "long"
    with Process(store, 32 << 20, STANDS_IN_THE_LOCK) as holder:
        holder.hear("holds")
        holder.stop()
        connection = http.client.HTTPConnection(gateway.listener, timeout=60)
        for number in range(50):
            connection.request("GET", f"/long/{number}")
            assert connection.getresponse().read() == b"found"
        assert len(asked(place)) == 50
        gateway.hear(f"kind=store_stuck .*process {holder.pid} has its lock")
    gateway.hear("kind=store_back")
    connection.request("GET", "/long/49")
    assert connection.getresponse().read() == b"found"
    connection.close()
