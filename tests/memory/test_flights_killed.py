"""Real workers that fetch for all, killed and stopped in the middle: another leads, and nobody fetches beside him."""

import asyncio
import fcntl
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
from tidegate.process import tasks

WORKERS = 4
FAR_S = 60
SEED = 5
TURNS = 1200

# The referee is a lock on a file, which the kernel takes from the dead: who fetches without it fetches beside another.
WORKER = """
import asyncio, fcntl, os, random, sys
from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
path, slot, fd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
region = Region.attach(fd)
flights = SingleFlight(region.mapping, region.secret, slot)
lock, chance = os.open(path, os.O_RDWR), random.Random(slot)

async def main():
    for turn in range(int(sys.argv[4])):
        key = b"%d" % (turn // 4 % 3)
        while (flight := flights.lead(key, 1000)) is None:
            await flights.wait(key)
        with flight:
            if key == b"0":
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for _ in range(chance.randrange(2000)):
                pass
            if key == b"0":
                fcntl.flock(lock, fcntl.LOCK_UN)
    print("done", flush=True)

asyncio.run(main())
"""

LEADS = """
import asyncio, sys
from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
region = Region.attach(int(sys.argv[1]))
flight = SingleFlight(region.mapping, region.secret, 1).lead(b"key", float(sys.argv[2]))
print("leads", flush=True)
sys.stdin.readline()
print("landed", flight.land(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def region():
    made = Region.create(WORKERS, 1, 1)
    yield made
    made.close()


def start(region, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", *map(str, arguments)],
        pass_fds=region.descriptors,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(*children):
    for child in children:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@pytest.mark.slow
def test_killed_and_stopped_leaders_are_followed_and_never_joined(region, tmp_path):
    path = tmp_path / "referee"
    path.touch()
    chance = random.Random(SEED)
    workers = [start(region, WORKER, path, slot, region.fd, TURNS) for slot in range(WORKERS)]
    try:
        for _ in range(12):
            time.sleep(chance.random() / 20)
            victim = chance.randrange(WORKERS)
            if chance.random() < 0.5:
                os.kill(workers[victim].pid, signal.SIGSTOP)
                time.sleep(chance.random() / 50)
                os.kill(workers[victim].pid, signal.SIGCONT)
                continue
            end(workers[victim])
            region.slot(victim).give_back()
            workers[victim] = start(region, WORKER, path, victim, region.fd, TURNS)
        for worker in workers:
            assert worker.stdout.readline() == "done\n"
    finally:
        end(*workers)


def test_killed_leader_is_followed_as_soon_as_it_is_reaped(region):
    async def main():
        leader = start(region, LEADS, region.fd, 1000)
        assert leader.stdout.readline() == "leads\n"
        flights = SingleFlight(region.mapping, region.secret, 2)
        assert flights.lead(b"key", 1) is None
        waiting = tasks.start(flights.wait(b"key"), "waits")
        end(leader)
        await asyncio.sleep(0.02)
        assert not waiting.done()
        region.slot(1).give_back()
        async with asyncio.timeout(FAR_S):
            await waiting
        assert flights.lead(b"key", 1) is not None

    asyncio.run(main())


def test_stopped_leader_is_followed_when_its_lease_ends_and_lands_nobody_elses(region):
    async def main():
        leader = start(region, LEADS, region.fd, 0.3)
        assert leader.stdout.readline() == "leads\n"
        os.kill(leader.pid, signal.SIGSTOP)
        flights = SingleFlight(region.mapping, region.secret, 2)
        async with asyncio.timeout(FAR_S):
            while (flight := flights.lead(b"key", 1000)) is None:
                await flights.wait(b"key")
        os.kill(leader.pid, signal.SIGCONT)
        leader.stdin.write("\n")
        leader.stdin.flush()
        assert leader.stdout.readline() == "landed False\n"
        assert flights.is_flying(b"key")
        assert flight.land()
        end(leader)

    asyncio.run(main())


def test_referee_refuses_two(tmp_path):
    """Or the first test of this file could not fail."""
    path = tmp_path / "referee"
    path.touch()
    one, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(one)
    os.close(other)
