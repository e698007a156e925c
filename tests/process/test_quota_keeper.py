"""Quotas over a restart: what is kept, what it costs, and what a disk that takes nothing does to them."""

import os
import resource
from dataclasses import replace

import pytest

from tidegate.config.allotment import allot, room_of
from tidegate.config.limits import Limit
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit as CompiledLimit
from tidegate.memory.region import Region
from tidegate.process import quota_keeper
from tidegate.process.quota_keeper import QuotaKeeper
from tidegate.process.quota_log import FILE
from tidegate.process.quota_restore import restore_quotas

MEMORY = 8 << 20
SECRET = bytes(range(32))
DAY_MS = 86_400_000
MONTH = Limit(quota=100, window=30 * 86400.0, window_kind="first_use", key=("header:X-User",), keys=1000)
DAY = Limit(quota=10, window=86400.0, window_kind="sliding")
EDGE = Limit(rate="1/s", key=("header:X-User",), keys=1000)
LISTENERS = (Listener(bind="127.0.0.1:1"),)


def snapshot_of(number=1, before=None, **limits):
    places, _ = allot({} if before is None else before.places, limits, MEMORY)
    return Snapshot.build(Gateway(listeners=LISTENERS, limits=limits), number=number, places=places)


class Machine:
    """One gateway after the other in a directory, with clocks of the test's own."""

    def __init__(self, directory):
        self.directory = directory
        self.wall_ms, self.now_ms = 1_800_000_000_000, 5_000_000
        self.snapshot = snapshot_of(month=MONTH, day=DAY, edge=EDGE)
        self.said = []
        self.is_ours = True
        self.start()

    def start(self, secret=SECRET):
        self.region = Region.create(1, **room_of(MEMORY), secret=secret)
        self.restored = restore_quotas(
            self.region, self.snapshot, self.directory, wall_ms=self.wall_ms, now_ms=self.now_ms
        )
        self.keeper = QuotaKeeper(
            self.region,
            self.directory,
            lambda: self.snapshot,
            lambda kind, message, level="warning", **fields: self.said.append(kind),
            is_ours=lambda: self.is_ours,
            wall_ms=lambda: self.wall_ms,
            now_ms=lambda: self.now_ms,
        )

    def end(self):
        self.keeper.close()
        self.region.close()

    def passes(self, ms):
        self.wall_ms += ms
        self.now_ms += ms

    def ask(self, name, user="ann", times=1):
        """How many of so many requests are let in."""
        limit = CompiledLimit(
            name, self.snapshot.gateway.limits[name], self.snapshot.places[name], self.region.mapping, SECRET
        )
        head = f"GET / HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n".encode()
        group = Group((limit,))
        asked = [group.ask(head, self.now_ms * 1_000_000, wall_ms=self.wall_ms) for _ in range(times)]
        return sum(refused is None for refused, _ in asked)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.end()


def test_what_was_counted_counts_after_a_restart(machine):
    assert machine.ask("month", times=70) == 70
    assert machine.ask("month", "bob", times=5) == 5
    assert machine.ask("day", times=6) == 6
    machine.keeper.keep()
    assert machine.ask("month", times=10) == 10
    machine.keeper.keep()
    machine.end()
    machine.passes(1234)
    machine.start()
    assert machine.restored == (1234, "")
    assert machine.ask("month", times=30) == 20
    assert machine.ask("month", "bob", times=100) == 95
    assert machine.ask("day", times=10) == 4


def test_the_machine_may_begin_its_clock_anew(machine):
    """CLOCK_MONOTONIC counts from the start of the machine; a window ends when it was to end."""
    machine.ask("month", times=100)
    machine.keeper.keep()
    machine.end()
    machine.wall_ms += 20 * DAY_MS
    machine.now_ms = 30_000
    machine.start()
    assert machine.ask("month") == 0
    machine.passes(10 * DAY_MS - 1)
    assert machine.ask("month") == 0
    machine.passes(1)
    assert machine.ask("month") == 1


@pytest.mark.parametrize(("step_ms", "left_ms"), [(-400 * DAY_MS, 60 * DAY_MS), (40 * DAY_MS, 0)])
def test_a_wall_clock_that_was_set_ends_windows_no_later_than_they_can(machine, step_ms, left_ms):
    machine.ask("month", times=100)
    machine.keeper.keep()
    machine.end()
    machine.wall_ms += step_ms
    machine.start()
    if left_ms:
        machine.passes(left_ms - 1)
        assert machine.ask("month") == 0
        machine.passes(1)
    assert machine.ask("month") == 1


def test_only_what_has_changed_is_written(machine):
    for number in range(500):
        machine.ask("month", f"u{number}")
    machine.keeper.keep()
    whole = (machine.directory / FILE).stat().st_size
    machine.keeper.keep()
    assert (machine.directory / FILE).stat().st_size == whole
    machine.ask("month", "u7")
    machine.keeper.keep()
    assert 0 < (machine.directory / FILE).stat().st_size - whole < 200


def test_a_file_that_has_grown_is_begun_anew(machine, monkeypatch):
    monkeypatch.setattr(quota_keeper, "_ROOMY", 0)
    for user in range(100):
        machine.ask("month", f"u{user}")
    machine.keeper.keep()
    begun = (machine.directory / FILE).stat()
    for _ in range(20):
        for user in range(100):
            machine.ask("month", f"u{user}")
        machine.keeper.keep()
    found = (machine.directory / FILE).stat()
    assert found.st_size < 7 * begun.st_size  # of 21 times as much that was written
    machine.end()
    machine.start()
    assert machine.ask("month", "u99", times=100) == 100 - 21


def test_memory_that_nobody_has_touched_is_not_looked_at(machine):
    before = os.fstat(machine.region.fd).st_blocks
    machine.keeper.keep()
    machine.keeper.keep()
    assert os.fstat(machine.region.fd).st_blocks - before <= 8


def test_limits_come_and_go_with_the_configuration(machine):
    machine.ask("month", times=60)
    machine.keeper.keep()
    machine.snapshot = snapshot_of(2, machine.snapshot, day=DAY)
    machine.ask("day", times=3)
    machine.keeper.keep()
    machine.snapshot = snapshot_of(3, machine.snapshot, day=DAY, other=MONTH)
    machine.keeper.keep()
    machine.end()
    machine.start()
    assert machine.ask("day", times=10) == 7
    assert machine.ask("other", times=100) == 100


def test_a_table_of_another_size_begins_anew(machine):
    machine.ask("month", times=60)
    machine.ask("day", times=3)
    machine.keeper.keep()
    machine.end()
    machine.snapshot = snapshot_of(month=replace(MONTH, keys=2000), day=DAY)
    machine.start()
    assert machine.ask("month", times=100) == 100
    assert machine.ask("day", times=10) == 7


def test_another_secret_or_a_damaged_file_begins_anew_and_says_so(machine):
    machine.ask("month", times=60)
    machine.keeper.keep()
    machine.end()
    machine.start(secret=bytes(32))
    assert machine.restored[0] == -1
    assert "another secret" in machine.restored[1]
    machine.end()
    (machine.directory / FILE).write_bytes(b"nonsense")
    machine.start()
    assert "no file of quotas" in machine.restored[1]
    assert machine.ask("month", times=100) == 100
    machine.keeper.keep()
    machine.end()
    machine.start()
    assert machine.restored == (0, "")
    assert machine.ask("month") == 0


def test_a_disk_that_takes_nothing_is_said_once_and_tried_again(machine):
    machine.ask("month", times=60)
    machine.keeper.keep()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # SIGXFSZ is ignored by Python: writes fail with EFBIG
    try:
        for _ in range(3):
            machine.ask("month", times=10)
            machine.keeper.keep()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert machine.said == ["quotas_not_kept"]
    machine.keeper.keep()
    machine.end()
    machine.start()
    assert machine.ask("month", times=100) == 10


def test_a_directory_that_another_gateway_has_claimed_is_left_alone(machine):
    machine.ask("month")
    machine.is_ours = False
    machine.keeper.keep()
    assert not (machine.directory / FILE).exists()


def test_where_there_are_no_quotas_nothing_is_written_and_nothing_said(tmp_path):
    machine = Machine(tmp_path)
    machine.snapshot = snapshot_of(edge=EDGE)
    machine.keeper.keep()
    assert list(tmp_path.iterdir()) == []
    machine.end()
    machine.start()
    assert machine.restored == (-1, "")
    machine.end()
