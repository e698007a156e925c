"""A gateway whose disk is full: it serves, reloads and replaces workers, says what it could not write, and heals."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.test_configuration import Running
from tests.e2e.test_processes import running
from tests.process.gateway import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# A file system of its own that nobody else sees; who is not root is root in a user namespace.
APART = ["--mount", *(["--map-root-user"] if os.geteuid() else [])]
WITH_A_DISK = 'mount -t tmpfs -o size=256k none "$0" && exec "$@"'


@pytest.fixture
def disk(tmp_path):
    """Where a disk of 256 KiB can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    tried = subprocess.run(
        ["unshare", *APART, "sh", "-c", WITH_A_DISK, place, "true"], check=False, capture_output=True
    )
    if tried.returncode:
        pytest.skip(f"nothing may be mounted here: {tried.stderr.decode()}")
    return place


class Logging(Running):
    """With an access log on that disk."""

    def text(self, hello="one"):
        return super().text(hello).replace('path = "off"', f'path = "{self.directory}/disk/access.log"')


def fill(file):
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


def test_full_disk_costs_what_would_be_written_and_nothing_else(tmp_path, disk):
    one = Logging(tmp_path, f'state_dir = "{disk}/state"', workers=2)
    before = [*APART, "sh", "-c", WITH_A_DISK, str(disk), sys.executable]
    with running(tmp_path, "run", one.path, python="unshare", before=before) as supervisor:
        one.pid = supervisor.pid
        seen = Path(f"/proc/{one.pid}/root{disk}")  # as the gateway sees it
        fill(seen / "filler")

        # What is logged is lost, in the end; who asks is answered.
        assert {one.hello() for _ in range(60)} == {"one"}
        supervisor.hear("kind=log_write_failed .*No space left on device")
        for number, hello in enumerate(("two", "three"), 2):
            one.write(hello)
            assert one.command("reload").returncode == 0
            assert one.hello() == hello
            assert one.status()["snapshot"]["number"] == number
        asked = one.command("record")
        assert asked.returncode == 1
        assert "No space left on device" in asked.stderr
        victim = supervisor.workers()[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(set(supervisor.workers()) - {victim}) == 2, "it is replaced")
        assert {one.hello() for _ in range(20)} == {"three"}

        # There is room again.
        (seen / "filler").unlink()
        length = (seen / "access.log").stat().st_size
        eventually(lambda: one.hello() and (seen / "access.log").stat().st_size > length, "it is logged again")
        one.write("four")
        assert one.command("reload").returncode == 0
        eventually(lambda: "four" in (seen / "state" / "last-good.toml").read_text(), "it is kept")
        supervisor.signal(signal.SIGTERM)
        assert supervisor.wait() == 0
        assert sum("kind=state_not_written" in line for line in supervisor.everything_said()) == 1
