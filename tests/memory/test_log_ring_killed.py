"""Real processes writing into one ring, killed at any moment: no torn line ever comes out."""

import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.memory.region import Region

LIVES = 12
WRITER = """
import sys
from tidegate.memory.region import Region
from tidegate.observe.access_log import AccessLog
log = AccessLog(Region.attach(int(sys.argv[1])).slot(0).take_log_ring(), fields=["request_id", "target", "status"])
records = [{"request_id": sys.argv[2].encode(), "target": b"/" * size, "status": size} for size in range(1, 900, 37)]
while True:
    for record in records:
        log.log(record, 50)
"""


def line(life: int, size: int) -> bytes:
    return b'{"request_id":"%d","target":"%s","status":%d}\n' % (life, b"/" * size, size)


@pytest.mark.slow
def test_lines_stay_whole_when_their_writer_is_killed_and_another_goes_on():
    chance = random.Random(2)
    region = Region.create(slots=1, log_bytes=1 << 16)
    reader = region.slot(0).log_reader()
    for life in range(LIVES):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(region.fd), str(life)], pass_fds=[region.fd])
        known = {line(who, size) for who in (life - 1, life) for size in range(1, 900, 37)}
        try:
            got = b""
            deadline = time.monotonic() + 20
            while line(life, 1)[:20] not in got and time.monotonic() < deadline:
                got = reader.read()
                assert known.issuperset(got.splitlines(keepends=True))
            assert got, "the writer never wrote"
            until = time.monotonic() + chance.uniform(0.001, 0.03)
            while time.monotonic() < until:
                assert known.issuperset(reader.read(chance.choice([100, 5000, 1 << 20])).splitlines(keepends=True))
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    while piece := reader.read():
        assert known.issuperset(piece.splitlines(keepends=True))
    assert reader.pending == 0
    region.close()
