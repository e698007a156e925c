"""Real processes killed in the middle of asking groups: no permit stays, and at most one charge of each death."""

import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.config.allotment import SET_BYTES, allot, room_of
from tidegate.config.limits import Limit as Settings
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit
from tidegate.limits.peek import peek
from tidegate.limits.quota import QuotaLimit
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.region import Region, read_meters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SEED = 29
WORKERS = 3
DEATHS = 6
HUNG_S = 100
MEMORY = 4 << 20
LARGE = 1_000_000_000
SETTINGS = {
    "one": Settings(quota=LARGE, window=86_400.0, window_kind="first_use"),
    "servers": Settings(concurrency=2),
    "other": Settings(quota=LARGE, window=86_400.0, window_kind="first_use"),
    "keyed": Settings(concurrency=1, key=("path",), keys=64),
}
ASKER = """
import sys
from tests.limits.test_group_killed import HEAD, NOW_NS, group_of
from tidegate.memory.region import Region
region = Region.attach(int(sys.argv[2]))
slot = int(sys.argv[1])
group, meters = group_of(region, slot), region.slot(slot).take_meters()
while True:
    group.ask(HEAD, NOW_NS)
    meters.count("exchanges_started")
"""
NOW_NS = 10**12  # it stands still, so that nothing ends by itself
HEAD = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def limits_of(region: Region, slot: int, settings: dict[str, Settings] = SETTINGS) -> dict[str, Limit]:
    places, without = allot({}, settings, MEMORY)
    assert not without
    inflight = region.inflight(slot)
    return {
        name: Limit(name, one, places[name], region.mapping, region.secret, inflight) for name, one in settings.items()
    }


def charges(region: Region, name: str, limit: Limit) -> int:
    """How often a quota was charged."""
    place = allot({}, SETTINGS, MEMORY)[0][name]
    table = QuotaTable(region.mapping, place.at * SET_BYTES, place.units - 1)
    quota = QuotaLimit(table, LARGE, 86_400_000, "first_use")
    left, _ = quota.look(limit.key.fingerprint(HEAD)[0], NOW_NS // 10**6, 0, 0)
    return LARGE - left


def group_of(region: Region, slot: int) -> Group:
    return Group(tuple(limits_of(region, slot).values()))


def test_groups_whose_askers_are_killed_between_two_writes_hold_nothing_and_charge_alike() -> None:
    chance = random.Random(SEED)
    region = Region.create(WORKERS + 1, **room_of(MEMORY))
    running: list[subprocess.Popen[bytes]] = []

    def start(slot: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", ASKER, str(slot), str(region.fd)]
        return subprocess.Popen(command, pass_fds=[region.fd])

    def asked(slot: int) -> int:
        return read_meters(region, slot).counters["exchanges_started"]

    try:
        running += [start(slot) for slot in range(WORKERS)]
        for _ in range(DEATHS):
            slot = chance.randrange(WORKERS)
            before = asked(slot)
            deadline = time.monotonic() + HUNG_S
            while asked(slot) < before + 100:
                assert running[slot].poll() is None, "it ended by itself"
                assert time.monotonic() < deadline, f"it is stuck (seed {SEED})"
                time.sleep(chance.uniform(0, 0.002))
            running[slot].send_signal(signal.SIGKILL)
            running[slot].wait()
            region.slot(slot).give_back()
            running[slot] = start(slot)
        for slot, one in enumerate(running):
            one.kill()
            one.wait()
            region.slot(slot).give_back()
        assert region.inflight().rows_in_use() == 0
        own = limits_of(region, WORKERS)
        assert [own["servers"].take() is not None for _ in range(3)] == [True, True, False]
        # Whoever dies between its two charges has made one of them, and was let in nowhere.
        charged = [charges(region, name, own[name]) for name in ("one", "other")]
        assert min(charged) > 0
        assert abs(charged[0] - charged[1]) <= DEATHS + WORKERS
    finally:
        for one in running:
            one.kill()
            one.wait()
        region.close()


MEASURED = {
    "seconds": Settings(rate="1/d", burst=19, cost="upstream.seconds"),
    "permits": Settings(concurrency=3),
}
BEGINNER = """
import sys
from tests.limits.test_group_killed import HEAD, MEASURED, NOW_NS, limits_of
from tidegate.limits.group import Group
from tidegate.memory.region import Region
region = Region.attach(int(sys.argv[1]))
region.slot(0).take_meters()
group = Group(tuple(limits_of(region, 0, MEASURED).values()))
_, _, ticket = group.begin(HEAD, NOW_NS)
group.end(ticket, NOW_NS, upstream_ns=4 * 10**9)
group.begin(HEAD, NOW_NS)
print("begun", flush=True)
sys.stdin.read()
"""


def test_killed_worker_leaves_what_it_had_charged_beforehand_and_no_permit() -> None:
    """What its requests took is known to nobody: neither more is charged for them, nor anything given back."""
    region = Region.create(2, **room_of(MEMORY))
    command = [sys.executable, "-c", BEGINNER, str(region.fd)]
    running = subprocess.Popen(command, pass_fds=[region.fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"begun\n"
        own = limits_of(region, 1, MEASURED)

        def left() -> tuple[int, int]:
            return peek(own["seconds"], HEAD, NOW_NS, 0).remaining, own["permits"].held()

        assert left() == (12, 1)  # four were taken, and four are expected to be
        running.kill()
        running.wait()
        region.slot(0).give_back()
        assert left() == (12, 0)
    finally:
        running.kill()
        running.communicate()
        region.close()
