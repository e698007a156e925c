"""When a spare worker is started, and when it could take a place."""

import os

import pytest

from tidegate.process.spare_place import SparePlace


class FakeChild:
    def __init__(self, pid=None):
        self.pid = os.getpid() if pid is None else pid


class FakeStacks:
    is_closed = False

    def close(self):
        self.is_closed = True


def test_first_one_comes_some_seconds_after_the_gateway_is_ready():
    place = SparePlace("spare worker")
    place.look(100.0, is_calm=True, uptime_s=0.5)
    place.look(100.1, is_calm=True, uptime_s=0.6)
    assert place.start_at_s == pytest.approx(102.5)


def test_next_one_comes_when_all_workers_have_served_for_a_moment():
    place = SparePlace("spare worker")
    place.look(100.0, is_calm=True, uptime_s=50.0)
    place.look(100.1, is_calm=True, uptime_s=50.1)
    assert place.start_at_s == pytest.approx(100.25)


def test_none_comes_while_a_worker_is_missing():
    place = SparePlace("spare worker")
    place.look(100.0, is_calm=True, uptime_s=50.0)
    place.look(100.1, is_calm=True, uptime_s=50.1)
    place.look(100.2, is_calm=False, uptime_s=50.2)
    assert place.start_at_s is None
    place.look(101.0, is_calm=True, uptime_s=51.0)
    assert place.start_at_s is None
    place.look(101.1, is_calm=True, uptime_s=51.1)
    assert place.start_at_s == pytest.approx(101.25)


def test_dead_one_is_followed_when_its_respawn_allows():
    place = SparePlace("spare worker")
    place.stacks = stacks = FakeStacks()
    place.fill(FakeChild())
    place.look(100.0, is_calm=True, uptime_s=50.0)
    place.vacate("killed")
    assert stacks.is_closed and place.stacks is None
    due_s = place.start_at_s
    place.look(100.1, is_calm=True, uptime_s=50.1)
    assert place.start_at_s == due_s


def test_one_that_left_has_its_stacks_with_it():
    place = SparePlace("spare worker")
    place.stacks, child = FakeStacks(), FakeChild()
    place.fill(child)
    place.has_prepared = True
    assert place.is_ready
    assert place.leave()[0] is child
    assert place.child is None and place.stacks is None and not place.is_ready


def test_one_that_imports_still_or_is_gone_is_not_ready():
    place = SparePlace("spare worker")
    assert not place.is_ready
    place.fill(FakeChild())
    assert not place.is_ready
    place.fill(FakeChild(pid=2**22 + 1))  # above the highest pid
    place.has_prepared = True
    assert not place.is_ready
