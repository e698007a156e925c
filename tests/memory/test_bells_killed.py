"""Real processes waiting for one thing, killed and stopped at any moment: nobody waits for ever, nobody stays marked.

What they wait for is a lock on a file: taken without waiting, and given back by the kernel when its holder dies.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.memory.region import Region, read_meters

SEED = 11
WORKERS = 4
ROW = 3
HUNG_S = 30
WAITER = """
import fcntl, os, random, select, sys
from tidegate.memory.region import Region
path, slot, row, timer_s, wanted = sys.argv[1], *map(int, sys.argv[2:4]), *map(float, sys.argv[4:6])
region = Region.attach(int(sys.argv[6]), [int(fd) for fd in sys.argv[7].split(",")])
bells, meters, own = region.bells(), region.slot(slot).take_meters(), region.bell_fds[slot]
lock, chance = os.open(path, os.O_RDWR), random.Random(slot)

def take():
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

def take_or_wait():
    if take():
        return
    while True:
        bells.begin_waiting(row, slot % 2, slot)
        if take():
            break
        if select.select([own], [], [], timer_s)[0]:
            os.eventfd_read(own)
    if not bells.end_waiting(row, slot % 2, slot):
        bells.ring_next(row)

while wanted:
    take_or_wait()
    meters.count("exchanges_started")
    for _ in range(chance.randrange(300)):
        pass
    fcntl.flock(lock, fcntl.LOCK_UN)
    bells.ring_next(row)
    wanted -= 1
"""


@pytest.fixture
def region():
    made = Region.create(WORKERS, 1, 1)
    yield made
    made.close()


@pytest.fixture
def start(region, tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    running = []

    def start(slot, timer_s, wanted=float("inf")):
        bells = ",".join(map(str, region.bell_fds))
        arguments = [str(lock), *map(str, (slot, ROW, timer_s, wanted, region.fd)), bells]
        one = subprocess.Popen([sys.executable, "-c", WAITER, *arguments], pass_fds=region.descriptors)
        running.append(one)
        return one

    yield start
    for one in running:
        one.kill()
        one.wait()


def had(region, slot):
    return read_meters(region, slot).counters["exchanges_started"]


@pytest.mark.slow
def test_processes_that_are_stopped_now_and_then_need_no_timer(region, start):
    chance = random.Random(SEED)
    workers = [start(slot, timer_s=3600, wanted=3000) for slot in range(WORKERS)]
    deadline = time.monotonic() + HUNG_S
    while any(worker.poll() is None for worker in workers):
        assert time.monotonic() < deadline, f"a wake-up was lost: {[had(region, i) for i in range(WORKERS)]}"
        stopped = chance.choice(workers)
        if stopped.poll() is None:
            stopped.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.01))
            stopped.send_signal(signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.01))
    assert [worker.returncode for worker in workers] == [0] * WORKERS
    assert [had(region, i) for i in range(WORKERS)] == [3000] * WORKERS
    assert region.bells().waiting(ROW) == []


@pytest.mark.slow
def test_processes_that_are_killed_leave_nobody_waiting_and_nothing_behind(region, start):
    chance = random.Random(SEED)
    workers = [start(slot, timer_s=0.01) for slot in range(WORKERS)]
    for _ in range(10):
        before = [had(region, slot) for slot in range(WORKERS)]
        deadline = time.monotonic() + HUNG_S
        while not all(had(region, slot) > before[slot] for slot in range(WORKERS)):
            assert time.monotonic() < deadline, f"somebody waits for ever (seed {SEED})"
            time.sleep(chance.uniform(0, 0.005))
        slot = chance.randrange(WORKERS)
        if chance.random() < 0.5:
            workers[slot].send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.01))
        workers[slot].kill()
        workers[slot].wait()
        region.bells().forget(slot)
        assert slot not in [marked for _, marked in region.bells().waiting(ROW)]
        workers[slot] = start(slot, timer_s=0.01)
    for slot, worker in enumerate(workers):
        worker.kill()
        worker.wait()
        region.bells().forget(slot)
    assert region.bells().waiting(ROW) == []
    assert all(os.fstat(fd) for fd in region.bell_fds)
