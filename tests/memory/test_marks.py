"""The mark of a worker, in one process and against real ones that are stopped and killed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.exchange.filter import PHASES
from tidegate.memory.marks import (
    FILTERS_MAX,
    PHASE_NAMES,
    ROUTES_MAX,
    SNAPSHOTS_APART,
    Mark,
    MarkReader,
    Place,
    place_word,
    read_place,
)
from tidegate.memory.region import Region

LIVES = 8

# Each callback's place says which callback it belongs to, so that a mixed reading shows.
WRITER = """
import sys
from tidegate.memory.marks import place_word
from tidegate.memory.region import Region
mark = Region.attach(int(sys.argv[1])).slot(0).take_mark()
since = int(sys.argv[2])
while True:
    since += 1
    mark.enter(since)
    outer = mark.step_into(place_word(1, since % 60000, since % 7, 1))
    mark.step_out(outer)
    if since % 3 == 0:
        mark.leave()
"""


@pytest.fixture
def region():
    one = Region.create(2)
    yield one
    one.close()


def test_place_is_packed_into_one_word_and_read_back():
    whole = Place(len(PHASES), FILTERS_MAX - 1, ROUTES_MAX - 1, SNAPSHOTS_APART - 1)
    assert read_place(place_word(*whole)) == whole
    assert place_word(*whole) == (1 << 64) - 1 - 0xFF + len(PHASES)
    assert read_place(place_word(2, 3, 4, SNAPSHOTS_APART + 5)) == Place(2, 3, 4, 5)
    assert place_word(0, 0, 0, 0) == 0
    assert PHASE_NAMES[1:] == PHASES


def test_callback_and_place_are_seen_from_outside(region):
    mark = region.slot(1).take_mark()
    reader = MarkReader(region.mapping)
    assert reader.read(1) == (0, 0)
    mark.enter(70)
    assert reader.read(1) == (70, 0)
    filter_place, finish_place = place_word(1, 2, 3, 4), place_word(5, 1, 3, 4)
    outer = mark.step_into(filter_place)
    assert reader.read(1) == (70, filter_place)
    inner = mark.step_into(finish_place)
    assert reader.read(1) == (70, finish_place)
    mark.step_out(inner)
    assert reader.read(1) == (70, filter_place)
    mark.step_out(outer)
    assert reader.read(1) == (70, 0)
    mark.leave()
    assert reader.read(1) == (0, 0)
    assert reader.read(0) == (0, 0)
    with pytest.raises(IndexError):
        reader.read(2)


def test_next_callback_is_the_gateways_own_whatever_was_left_behind(region):
    mark = region.slot(0).take_mark()
    mark.enter(1)
    mark.step_into(place_word(1, 0, 0, 1))
    mark.enter(2)
    assert mark.read() == (2, 0)


def test_mark_of_a_dead_worker_is_wiped_before_its_successor(region):
    slot = region.slot(0)
    mark = slot.take_mark()
    mark.enter(5)
    mark.step_into(place_word(1, 0, 0, 1))
    slot.claim(1, 1, 9)
    assert slot.take_mark().read() == (0, 0)


def test_mark_without_a_slot_is_memory_of_its_own():
    one, other = Mark(), Mark()
    one.enter(3)
    assert (one.read().since_ns, other.read().since_ns) == (3, 0)


def test_marks_of_writers_that_are_stopped_and_killed_are_never_mixed(region):
    chance = random.Random(3)
    reader = MarkReader(region.mapping)
    since = 0
    for _ in range(LIVES):
        reader.wipe(0)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(region.fd), str(since)], pass_fds=[region.fd])
        try:
            deadline = time.monotonic() + 30
            while reader.read(0) == (0, 0):
                assert time.monotonic() < deadline, "the writer never wrote"
            for _ in range(20):
                until = time.monotonic() + chance.uniform(0.0001, 0.003)
                while time.monotonic() < until:
                    reading = reader.read(0)
                    if reading.place:
                        place = read_place(reading.place)
                        assert (place.filter, place.route) == (reading.since_ns % 60000, reading.since_ns % 7)
                    if reading.since_ns:
                        assert reading.since_ns >= since
                        since = reading.since_ns
                writer.send_signal(signal.SIGSTOP)
                os.waitpid(writer.pid, os.WUNTRACED)
                stands = reader.read(0)
                assert reader.read(0) == stands
                writer.send_signal(signal.SIGCONT)
        finally:
            writer.kill()
            writer.wait()
        reading = reader.read(0)
        if reading.place:
            assert read_place(reading.place).filter == reading.since_ns % 60000
        since = max(since, reading.since_ns)
