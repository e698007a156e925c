"""Real processes that take and give back permits, killed and stopped at any moment: no ghost, and no limit exceeded.

Each key admits one. Who holds its permit locks a byte of a file besides, which the kernel gives to one process only and
takes back from the dead: a lock that is not to be had is a limit that was exceeded.
"""

import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region, read_meters

pytestmark = pytest.mark.timeout(300)

SEED = 23
WORKERS = 4
KEYS = 6
HUNG_S = 100
HOLDER = """
import fcntl, os, random, sys
from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region
path, slot, keys, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
region = Region.attach(int(sys.argv[5]))
table, meters, chance = PermitTable(region.inflight(slot), 0, 2), region.slot(slot).take_meters(), random.Random(slot)
lock, held = os.open(path, os.O_RDWR), {}
while wanted > 0:
    key = chance.randrange(keys)
    if key in held:
        fcntl.lockf(lock, fcntl.LOCK_UN, 1, key)
        table.give_back(*held.pop(key))
    elif (row := table.take(key << 13 | key % 2, 1, key % 4)) is not None:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, key)
        held[key] = row, key % 4
    meters.count("exchanges_started")
    wanted -= 1
os.close(lock)
for row, class_ in held.values():
    table.give_back(row, class_)
"""


@pytest.fixture
def region():
    made = Region.create(WORKERS + 1, 1, 1, inflight_blocks=2)
    yield made
    made.close()


@pytest.fixture
def start(region, tmp_path):
    path = tmp_path / "locks"
    path.touch()
    running = []

    def start(slot, wanted=float("inf")):
        arguments = [str(path), *map(str, (slot, KEYS, wanted, region.fd))]
        one = subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], pass_fds=[region.fd])
        running.append(one)
        return one

    yield start
    for one in running:
        one.kill()
        one.wait()


def tried(region, slot):
    return read_meters(region, slot).counters["exchanges_started"]


@pytest.mark.slow
def test_processes_that_are_stopped_now_and_then_exceed_no_limit_and_leave_nothing(region, start):
    chance = random.Random(SEED)
    workers = [start(slot, wanted=20_000) for slot in range(WORKERS)]
    deadline = time.monotonic() + HUNG_S
    while any(worker.poll() is None for worker in workers):
        assert time.monotonic() < deadline, f"stuck at {[tried(region, i) for i in range(WORKERS)]}"
        stopped = chance.choice(workers)
        if stopped.poll() is None:
            stopped.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.01))
            stopped.send_signal(signal.SIGCONT)
        time.sleep(chance.uniform(0, 0.01))
    assert [worker.returncode for worker in workers] == [0] * WORKERS, "a permit was had by two at once"
    assert region.inflight().rows_in_use() == 0


@pytest.mark.slow
def test_processes_that_are_killed_leave_no_ghost(region, start):
    chance = random.Random(SEED)
    workers = [start(slot) for slot in range(WORKERS)]
    for _ in range(8):
        before = [tried(region, slot) for slot in range(WORKERS)]
        deadline = time.monotonic() + HUNG_S
        while not all(tried(region, slot) > before[slot] for slot in range(WORKERS)):
            assert [worker.poll() for worker in workers] == [None] * WORKERS, "a permit was had by two at once"
            assert time.monotonic() < deadline, f"somebody is stuck (seed {SEED})"
            time.sleep(chance.uniform(0, 0.005))
        slot = chance.randrange(WORKERS)
        if chance.random() < 0.5:
            workers[slot].send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.01))
        workers[slot].kill()
        workers[slot].wait()
        region.slot(slot).give_back()
        assert region.inflight().forget(slot) == 0
        workers[slot] = start(slot)
    for slot, worker in enumerate(workers):
        worker.kill()
        worker.wait()
        region.slot(slot).give_back()
    assert region.inflight().rows_in_use() == 0
    own = PermitTable(region.inflight(WORKERS), 0, 2)
    assert all(own.take(key << 13 | key % 2, 1) is not None for key in range(KEYS))


HOLDS_200 = """
import sys, time
from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region
table = PermitTable(Region.attach(int(sys.argv[1])).inflight(0), 0, 2)
print(sum(table.take(77, 200) is not None for _ in range(201)), flush=True)
time.sleep(3600)
"""


def test_two_hundred_permits_of_a_killed_process_are_back_when_it_has_been_reaped(region):
    own = PermitTable(region.inflight(1), 0, 2)
    asked = [sys.executable, "-c", HOLDS_200, str(region.fd)]
    with subprocess.Popen(asked, pass_fds=[region.fd], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"200\n"
            assert own.take(77, 200) is None
        finally:
            holder.kill()
    assert own.take(77, 200) is None, "nobody was told yet"
    region.slot(0).give_back()
    assert own.counts(77) == (0, 0, 0, 0)
    assert sum(own.take(77, 200) is not None for _ in range(201)) == 200
