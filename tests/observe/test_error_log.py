"""What the error log looks like and how much of it there is."""

import gc
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.region import Region
from tidegate.memory.turns import Turns
from tidegate.observe.bounded_log import BoundedLog, Entry
from tidegate.observe.error_log import ErrorLog, ErrorLogHandler, render_json, render_text
from tidegate.observe.line_sink import LINE_MAX, LineSink
from tidegate.observe.recording import Event


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(tmp_path, clock):
    made = ErrorLog(LineSink(str(tmp_path / "error.log")), who={"worker": 1}, clock=clock, wall=lambda: 1795298400.1234)
    yield made
    made.close()


def lines(tmp_path):
    return (tmp_path / "error.log").read_text().splitlines()


def test_line_is_time_level_who_kind_fields_count_and_message(log, tmp_path):
    log.say("connection_refused", "no answer", upstream="orders", endpoint="10.0.0.5:9001")
    (line,) = lines(tmp_path)
    assert line == (
        "2026-11-21T22:00:00.123Z warning worker=1 kind=connection_refused upstream=orders endpoint=10.0.0.5:9001 "
        'count=1 message="no answer"'
    )


def test_held_lines_come_with_the_tick(log, tmp_path, clock):
    for _ in range(5):
        log.say("k", "m")
    clock.now += 1
    log.tick()
    log.tick()
    assert [re.search(r"count=(\d+)", line)[1] for line in lines(tmp_path)] == ["1", "4"]
    assert log.statistics() == (5, 2, 0)


def test_level_below_the_least_is_not_written(log, tmp_path):
    log.say("k", "m", level="debug")
    assert lines(tmp_path) == []
    log.say("k", "m", level="info")
    assert len(lines(tmp_path)) == 1


def test_close_writes_what_was_held(tmp_path, clock):
    log = ErrorLog(LineSink(str(tmp_path / "error.log")), clock=clock)
    for _ in range(3):
        log.say("k", "m")
    log.close()
    assert [re.search(r"count=(\d+)", line)[1] for line in lines(tmp_path)] == ["1", "2"]


def test_160000_failures_block_nobody_and_write_fewer_than_700_lines_while_nobody_reads():
    read_end, write_end = os.pipe()
    log = ErrorLog(LineSink(fd=write_end))
    began = time.monotonic()
    for i in range(160_000):
        log.say("connection_refused", "connect: connection refused", upstream="orders", attempt=i)
    assert log.statistics().lines <= time.monotonic() - began + 2
    log.close()
    got = os.read(read_end, 1 << 20).decode()
    assert sum(int(count) for count in re.findall(r"count=(\d+)", got)) == 160_000
    os.close(read_end)
    os.close(write_end)


PROCESS = """
import sys, time
from tidegate.memory.region import Region
from tidegate.memory.turns import Turns
from tidegate.observe.bounded_log import BoundedLog
from tidegate.observe.error_log import ErrorLog
from tidegate.observe.line_sink import LineSink
turns = Turns(Region.attach(int(sys.argv[1])).mapping)
log = ErrorLog(LineSink(), who={"worker": sys.argv[2]}, bounded=BoundedLog(take_turn=turns.take))
until = time.monotonic() + 2.5
said = 0
while time.monotonic() < until:
    log.say("refused", "m")
    said += 1
log.close()
print(said)
"""


@pytest.mark.slow
def test_processes_write_one_line_a_second_between_them_and_every_count_arrives():
    region = Region.create(slots=1)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(region.fd), str(i)],
            pass_fds=[region.fd],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    outputs = [worker.communicate(timeout=30) for worker in workers]
    region.close()
    counts = [int(count) for _, errors in outputs for count in re.findall(r"count=(\d+)", errors)]
    assert sum(counts) == sum(int(said) for said, _ in outputs)
    assert len(counts) <= 5 + len(workers), "one a second, and what each held back at its end"


def test_what_is_written_is_kept_for_the_flight_recorder(tmp_path):
    region = Region.create(slots=1)
    journal = region.journal("events")
    for who in ({"process": "supervisor"}, {"worker": 1}):
        log = ErrorLog(
            LineSink(str(tmp_path / "error.log")), who=who, level="warning", journal=journal, wall=lambda: 17.5
        )
        log.say("refused", "not \ud800 for you", "error", port=1)
        log.say("refused", "x" * 9000)
        log.say("chatter", "below the level", "info")
        log.close()
    events = [msgspec.msgpack.decode(content, type=Event) for _, content in journal.read()]
    assert events[0] == Event(17.5, "supervisor", "error", "refused", "not ? for you")
    assert [(event.who, event.kind, event.count) for event in events] == [
        ("supervisor", "refused", 1),
        ("supervisor", "refused", 1),
        ("worker 1", "refused", 1),
        ("worker 1", "refused", 1),
    ]
    assert 100 < len(events[1].message) < 1000
    region.close()


VALUES = st.text() | st.binary() | st.integers() | st.floats() | st.none() | st.booleans()


@given(st.text(max_size=5000), st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), VALUES))
def test_any_text_stays_one_bounded_printable_line(message, fields):
    entry = Entry("kind", "error", message, fields, 7)
    for line in (render_text(entry, {"worker": 0}, 0.0), render_json(entry, {"worker": 0}, 0.0)):
        assert len(line) <= LINE_MAX
        assert line.endswith(b"\n")
        assert all(0x20 <= c < 0x7F for c in line[:-1])
    read = json.loads(render_json(entry, {"worker": 0}, 0.0))
    assert read["count"] == 7 and read["ts"] == "1970-01-01T00:00:00.000Z"
    text = render_text(entry, {"worker": 0}, 0.0).decode()
    assert len(re.findall(r" count=7 ", text)) == 1 and text.count(" kind=kind ") == 1


def test_text_line_splits_into_its_fields():
    entry = Entry("k", "error", 'a "quoted" b', {"path": "/a b", "n": 3}, 1)
    parts = shlex.split(render_text(entry, {}, 0.0).decode())
    assert parts[2:] == ["kind=k", "path=/a b", "n=3", "count=1", 'message=a "quoted" b']


def test_what_libraries_log_comes_out_with_its_error_and_place(log, tmp_path):
    logger = logging.getLogger("acme.filters")
    handler = ErrorLogHandler(log)
    logger.addHandler(handler)
    try:
        {}["plan"]
    except KeyError:
        logger.exception("filter %s failed", "plan")
    logger.info("args %d", "not a number")
    logger.critical("worst")
    logger.removeHandler(handler)
    (line,) = lines(tmp_path)
    assert " error worker=1 kind=acme.filters " in line
    assert "KeyError: 'plan'" in line and "test_error_log.py" in line and 'message="filter plan failed"' in line


def test_error_that_is_handed_over_is_told_with_its_place_and_not_kept(log, tmp_path):
    def fails():
        raise KeyError("plan")

    try:
        fails()
    except KeyError as error:
        log.say("filter_failed", f"KeyError: {error}", filter="plan", error=error)
        kept = gc.get_referrers(error)
    assert not [one for one in kept if isinstance(one, dict) and one.get("filter") == "plan"]
    (line,) = lines(tmp_path)
    assert re.search(r'filter=plan at=".*test_error_log\.py:\d+ fails < .*test_error_log\.py:\d+ test_', line)


def test_reopen_that_fails_is_said_in_the_old_file(tmp_path, clock):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = ErrorLog(LineSink(str(folder / "error.log")), clock=clock)
    folder.rename(tmp_path / "moved")
    log.reopen()
    log.close()
    assert "kind=log_reopen_failed" in (tmp_path / "moved" / "error.log").read_text()


def test_shared_turns_fit_the_bounded_log(clock):
    region = Region.create(slots=1)
    turns = Turns(region.mapping)
    one, two = BoundedLog(take_turn=turns.take), BoundedLog(take_turn=turns.take)
    assert one.offer(5.0, "k", "info", "", {})
    assert two.offer(5.5, "k", "info", "", {}) is None
    assert [entry.count for entry in two.due(6.0)] == [1]
    region.close()
