"""The latest records of any process: whole, in order, and there when their writers are not."""

import random
import signal
import subprocess
import sys
import time

import pytest

from tidegate.memory.journal import Journal, format_journal
from tidegate.memory.region import JOURNALS, Region

pytestmark = pytest.mark.sanitize

CAPACITY, ROOM = JOURNALS["events"]
SEED = 3
WRITER = """
import sys
from tidegate.memory.region import Region
journal = Region.attach(int(sys.argv[1])).journal("events")
n = 0
while True:
    n += 1
    journal.append(f"{sys.argv[2]} {n} ".encode() * (n % 70 + 1))
"""


@pytest.fixture
def region():
    made = Region.create(1, 1, 1)
    yield made
    made.close()


def test_records_come_back_in_order_in_any_process(region):
    journal, elsewhere = region.journal("events"), Region.attach(region.fd).journal("events")
    assert elsewhere.read() == []
    assert [journal.append(b"one"), elsewhere.append(b""), journal.append(b"x" * ROOM)] == [1, 2, 3]
    assert elsewhere.read() == [(1, b"one"), (2, b""), (3, b"x" * ROOM)]
    assert elsewhere.read(after=2) == [(3, b"x" * ROOM)]
    assert elsewhere.read(after=3) == elsewhere.read(after=2**63) == []
    assert journal.latest_ticket == 3


def test_the_oldest_gives_way(region):
    journal = region.journal("events")
    for i in range(3 * CAPACITY + 7):
        journal.append(b"%d" % i)
    assert journal.read() == [(i + 1, b"%d" % i) for i in range(2 * CAPACITY + 7, 3 * CAPACITY + 7)]
    assert "512 of 512" in repr(journal)


def test_what_is_too_long_is_refused_and_takes_no_ticket(region):
    journal = region.journal("events")
    with pytest.raises(ValueError, match=f"at most {ROOM} bytes, not {ROOM + 1}"):
        journal.append(b"x" * (ROOM + 1))
    assert journal.latest_ticket == 0


def test_a_record_that_was_damaged_is_left_out(region):
    journal = region.journal("events")
    for i in range(3):
        journal.append(b"record %d" % i)
    cell = 16 + ROOM
    second_content = (64 + 2 * cell + 16) // 8
    region.mapping.store_word("events", 0, second_content, 0)
    assert journal.read() == [(1, b"record 0"), (3, b"record 2")]
    first_size = (64 + cell + 8) // 8
    region.mapping.store_word("events", 0, first_size, 2**64 - 1)
    assert journal.read() == [(3, b"record 2")]


def test_a_section_that_is_no_journal_is_refused(region):
    with pytest.raises(ValueError, match="'turns' is no journal"):
        Journal(region.mapping, "turns")
    with pytest.raises(ValueError, match="no room for 512 records"):
        format_journal(region.mapping, "turns", 512, 1008)


@pytest.mark.slow
def test_records_are_whole_whoever_is_killed_or_stopped_while_writing(region):
    chance = random.Random(SEED)
    journal = region.journal("events")

    def start(life):
        return subprocess.Popen([sys.executable, "-c", WRITER, str(region.fd), str(life)], pass_fds=[region.fd])

    lives = 3
    born = list(range(lives))  # the life that each writer has
    writers = [start(life) for life in born]
    try:
        end = time.monotonic() + 3
        seen = set()
        while time.monotonic() < end or len(seen) <= 3:
            deadline = time.monotonic() + 30
            before = journal.latest_ticket
            while journal.latest_ticket == before:
                assert time.monotonic() < deadline, f"nobody writes (seed {SEED})"
            for ticket, content in journal.read():
                life, n, *rest = content.decode().split()
                assert content == f"{life} {n} ".encode() * (int(n) % 70 + 1), f"torn record {ticket}: {content}"
                assert len(rest) % 2 == 0
                seen.add(int(life))
            victim = chance.randrange(len(writers))
            match chance.randrange(3):
                case 0:
                    writers[victim].send_signal(signal.SIGSTOP)
                    time.sleep(chance.uniform(0, 0.01))
                    writers[victim].send_signal(signal.SIGCONT)
                case 1 if lives < 15 and born[victim] in seen:  # or all are spent before they have written anything
                    writers[victim].kill()
                    writers[victim].wait()
                    writers[victim] = start(lives)
                    born[victim] = lives
                    lives += 1
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
