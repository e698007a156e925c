"""Real workers of two machines, stopped and killed at any moment: never more under way than there are, and no ghost.

Who has a permit locks one of as many bytes of a file as there are permits, which the kernel gives to one process only
and takes back from the dead: when none is to be had, there is one too many.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.limits.fleet.machines import STORED
from tests.limits.laid_out import MEMORY
from tests.redis.servers import Server, serving

from tidegate.config.allotment import room_of
from tidegate.memory.region import Region, read_meters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SEED = 29
PERMITS = 5
MACHINES, WORKERS = 2, 2
WORKER = """
import asyncio, fcntl, os, random, sys
from tests.limits.fleet.machines import Machine
from tests.redis.links import link_to
from tidegate.limits.fleet import loans
from tidegate.memory.region import Region

path, address, name, slot, permits = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
loans.FORGOTTEN_MS = 3_600_000  # however long this machine is held up, it is not taken for dead
region, lock, chance = Region.attach(int(sys.argv[6])), os.open(path, os.O_RDWR), random.Random(slot)
meters, mine = region.slot(slot).take_meters(), set()

def lock_one():
    for at in set(range(permits)) - mine:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except OSError:
            continue
        mine.add(at)
        return
    os._exit(3)

async def work():
    async with link_to(address) as link:
        one = Machine(link, name, permits, shared=(region, slot), on_store_failure="deny")
        while os.getppid() == int(sys.argv[7]):
            if one.rows and chance.random() < 0.5:
                fcntl.lockf(lock, fcntl.LOCK_UN, 1, mine.pop())
                one.give_back()
            elif await one.take(1000):
                lock_one()
                meters.count("exchanges_started")
            await asyncio.sleep(chance.random() * 0.01)

asyncio.run(work())
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def regions() -> Iterator[list[Region]]:
    made = [Region.create(WORKERS, **room_of(MEMORY)) for _ in range(MACHINES)]
    yield made
    for one in made:
        one.close()


Start = Callable[[int, int], subprocess.Popen[bytes]]


@pytest.fixture
def start(server: Server, regions: list[Region], tmp_path: Path) -> Iterator[Start]:
    path = tmp_path / "locks"
    path.touch()
    running = []

    def start(machine: int, slot: int) -> subprocess.Popen[bytes]:
        fd = regions[machine].fd
        words = [str(path), server.address, f"m{machine}", *map(str, (slot, PERMITS, fd, os.getpid()))]
        one = subprocess.Popen([sys.executable, "-c", WORKER, *words], pass_fds=[fd])
        running.append(one)
        return one

    yield start
    for one in running:
        one.kill()
        one.wait()


def test_workers_that_are_stopped_and_killed_never_have_more_under_way_than_there_are(
    server: Server, regions: list[Region], start: Start
) -> None:
    chance = random.Random(SEED)
    workers = {(machine, slot): start(machine, slot) for machine in range(MACHINES) for slot in range(WORKERS)}

    def admitted(machine: int, slot: int) -> int:
        return read_meters(regions[machine], slot).counters["exchanges_started"]

    def all_go_on() -> None:
        """Each has let in twenty more."""
        before = {place: admitted(*place) for place in workers}
        deadline = time.monotonic() + 120
        while any(admitted(*place) < before[place] + 20 for place in workers):
            assert time.monotonic() < deadline, "somebody does not get on"
            assert not any(one.poll() for one in workers.values()), "more are under way than there are"
            time.sleep(0.01)

    all_go_on()
    for _ in range(6):
        place = chance.choice(list(workers))
        workers[place].send_signal(signal.SIGSTOP)
        time.sleep(chance.random() * 0.7)  # shorter and longer than its question keeps others from asking
        workers[place].send_signal(signal.SIGCONT)
    for _ in range(3):
        place = machine, slot = chance.choice(list(workers))
        workers[place].kill()
        workers[place].wait()
        regions[machine].inflight().forget(slot)
        workers[place] = start(machine, slot)
        all_go_on()
    for one in workers.values():
        one.kill()
        one.wait()
    for region in regions:
        for slot in range(WORKERS):
            region.inflight().forget(slot)
        assert region.inflight().rows_that_count() == 0
    assert int(server.ask("HLEN", STORED)) <= MACHINES + 1
