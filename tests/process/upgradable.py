"""A gateway that can be upgraded, programs to upgrade it to, and clients who would notice."""

import contextlib
import os
import shutil
import sys
import threading
import uuid
from pathlib import Path

from tests.process.gateway import DEADLINE_S, eventually, supervised

import tidegate
from tidegate.admin.client import ControlClient
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process import runtime_directory
from tidegate.process.failure import StartError


class Upgradable:
    """A gateway and what its operator can ask."""

    def __init__(self, gateway, runtime_dir):
        self.gateway = gateway
        self.client = ControlClient(runtime_directory.socket_path(runtime_dir, gateway.pid), gateway.pid)

    def status(self):
        """What control says; while it is replaced, nothing."""
        with contextlib.suppress(StartError):
            return self.client.get("/status")

    def ask(self, *, python=sys.executable, environment_path=None, python_path=None):
        attempt = uuid.uuid4().hex
        body = {
            "attempt": attempt,
            "python": python,
            "python_path": python_path or sys.path,
            "environment_path": environment_path or os.environ.get("PYTHONPATH"),
        }
        assert self.client.post("/upgrade", body) == {"accepted": True}
        return attempt

    def phase(self, attempt, *phases):
        def found():
            status = self.status()
            return status and next(
                (one for one in status["upgrades"] if one["attempt"] == attempt and one["phase"] in phases), None
            )

        return eventually(found, f"the upgrade is {' or '.join(phases)}", 60.0)

    def end_of(self, attempt):
        return self.phase(attempt, "done", "failed")

    def upgrade(self, **program):
        return self.end_of(self.ask(**program))

    def until_only(self, generation):
        """The generations before are gone."""

        def is_alone():
            status = self.status()
            return status and {one["generation"] for one in status["workers"]} == {generation}

        eventually(is_alone, f"only generation {generation} is there")

    def workers(self, generation):
        status = eventually(self.status, "control answers")
        return [one["pid"] for one in status["workers"] if one["generation"] == generation]


@contextlib.contextmanager
def upgradable(tmp_path, *, environment=None, **server):
    settings = {"workers": 2, "admin": "127.0.0.1:0", "drain_timeout": 10.0, **server}
    gateway = Gateway(server=Server(**settings), listeners=(Listener(bind="127.0.0.1:0"),))
    with supervised(
        gateway=gateway, has_control=True, runtime_dir=tmp_path / "run", environment=environment
    ) as running:
        yield Upgradable(running.wait_ready(), tmp_path / "run")


class Load:
    """Clients that connect, are greeted, say a line and hear it, up to a hundred times a second each.

    Every failure is kept. Without a pause between two of them they would take the processors from the processes whose
    start is waited for.
    """

    def __init__(self, gateway, clients=3):
        self.gateway = gateway
        self.failures = []
        self.served = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self.served) > 5, "the load runs")
        return self

    def __exit__(self, *exc):
        self._is_over.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _run(self):
        while not self._is_over.wait(0.01):
            try:
                with self.gateway.connect() as one:
                    lines = one.makefile("rb")
                    pid = int(lines.readline().split()[1])
                    one.sendall(b"tide\n")
                    said = lines.readline()
                    assert said == b"tide\n", f"worker {pid} said {said!r}"
                self.served.append(pid)
            except (OSError, ValueError, IndexError, AssertionError) as error:
                self.failures.append(repr(error))


def copy_of_the_program(tmp_path, changes):
    """PYTHONPATH of a copy of this program with files put in place of its own: text by path, without the suffix."""
    copy = tmp_path / "copy"
    shutil.copytree(Path(tidegate.__file__).parent, copy / "tidegate", ignore=shutil.ignore_patterns("*.c"))
    for name, text in changes.items():
        (copy / "tidegate" / f"{name}.py").write_text(text)
    here = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([str(copy), *([here] if here else [])])


def source(name):
    return (Path(tidegate.__file__).parent / f"{name}.py").read_text()


def python_path_of(environment_path):
    return [*environment_path.split(os.pathsep), *sys.path]
