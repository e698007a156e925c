"""Real controls that publish, stopped and killed at any moment while others take over."""

import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.memory.health import HealthReader, HealthWriter
from tidegate.memory.region import Region

SEED = 5
WORDS = 8
CONTROL = """
import sys
from tidegate.memory.health import HealthWriter
from tidegate.memory.region import Region
writer = HealthWriter(Region.attach(int(sys.argv[1])).mapping)
life, n = int(sys.argv[2]), 0
while writer.publish(n % 8, life << 16 | n & 0xFFFF):
    n += 1
"""


@pytest.mark.slow
def test_after_a_takeover_a_stopped_control_changes_nothing_when_it_goes_on():
    chance = random.Random(SEED)
    region = Region.create(1, 1, 1)
    reader = HealthReader(region.mapping)
    for life in range(1, 16):
        old = subprocess.Popen([sys.executable, "-c", CONTROL, str(region.fd), str(life)], pass_fds=[region.fd])
        try:
            deadline = time.monotonic() + 30
            while reader.read(WORDS - 1) >> 16 != life:
                assert time.monotonic() < deadline, f"control {life} never published (seed {SEED})"
            time.sleep(chance.uniform(0, 0.003))
            old.send_signal(signal.SIGSTOP if chance.random() < 0.7 else signal.SIGKILL)
            known = {reader.read(word) >> 16 for word in range(WORDS)}
            assert known == {life}, "a state that nobody published"
            new = HealthWriter(region.mapping)
            taken_over = [reader.read(word) for word in range(WORDS)]
            assert new.publish(0, 17)
            old.send_signal(signal.SIGCONT)
            assert old.wait(30) in (0, -signal.SIGKILL), "it was told that it is not the writer any more"
            assert [reader.read(word) for word in range(WORDS)] == [17, *taken_over[1:]]
        finally:
            old.kill()
            old.wait()
    region.close()
