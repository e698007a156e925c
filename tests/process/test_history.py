"""What is kept is whole, closed to others, and survives a disk that is full at any byte."""

import subprocess
import sys

import pytest

from tidegate.config.snapshot import Origin
from tidegate.process.history import KEPT, Entry, History

FULL = """
import os, resource, signal, sys
from tidegate.config.snapshot import Origin
from tidegate.process.history import Entry, History

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    History(sys.argv[1]).add(Entry(number=2, etag="e2", origin=Origin(), text="x" * 1000))
except OSError:
    os._exit(7)
"""


def entry(number, text="routes = []\n", **origin):
    return Entry(
        number=number, etag=f"e{number}", origin=Origin(at_s=1.5, by="ann", **origin), text=text, difference="+x\n"
    )


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "state")


def test_nothing_is_there_at_first(history):
    assert (history.numbers(), history.last(), history.past(), history.entry(1)) == ([], None, [], None)
    assert history.next_number("e1") == 1


def test_last_one_is_the_last_good_one(history):
    history.add(entry(1))
    history.add(entry(2, "routes: []\n", is_yaml=True))
    assert history.last() == entry(2, "routes: []\n", is_yaml=True)
    assert (history.directory / "last-good.yaml").read_text() == "routes: []\n"
    assert not (history.directory / "last-good.toml").exists()
    assert [(one.number, one.by, one.at, one.difference) for one in history.past()] == [
        (2, "ann", "1970-01-01T00:00:01.500+00:00", "+x\n"),
        (1, "ann", "1970-01-01T00:00:01.500+00:00", "+x\n"),
    ]


def test_numbers_go_on_after_a_restart(history):
    history.add(entry(7))
    assert history.next_number("e7") == 7
    assert history.next_number("other") == 8


def test_twenty_are_kept(history):
    for number in range(1, 31):
        history.add(entry(number))
    assert history.numbers() == list(range(31 - KEPT, 31))


def test_nobody_else_may_read(history):
    history.add(entry(1))
    history.mask_key()
    for path in history.directory.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_cannot_be_read_is_passed_over(history):
    history.add(entry(1))
    history.add(entry(2))
    (history.directory / "history" / "000002.json").write_text("{")
    (history.directory / "history" / "notes.json").write_text("")
    assert history.last() == entry(1)
    assert [one.number for one in history.past()] == [1]
    assert history.next_number("e2") == 3


def test_key_is_kept(history):
    key = history.mask_key()
    assert len(key) == 32
    assert history.mask_key() == key


@pytest.mark.parametrize("room", [0, 1, 100, 300])
def test_full_disk_leaves_what_was_there_whole(history, room):
    """A file cannot grow beyond ``room`` bytes, as on a disk that has no more."""
    history.add(entry(1))
    before = {path.name for path in history.directory.rglob("*")}
    done = subprocess.run([sys.executable, "-c", FULL, str(history.directory), str(room)], check=False, timeout=50)
    assert done.returncode == 7
    assert history.last() == entry(1)
    assert (history.directory / "last-good.toml").read_text() == entry(1).text
    assert {path.name for path in history.directory.rglob("*")} == before
