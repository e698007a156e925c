"""Whose turn it is to write about a kind of trouble."""

import subprocess
import sys

import pytest

from tidegate.memory.region import Region
from tidegate.memory.turns import Turns

pytestmark = pytest.mark.sanitize


@pytest.fixture
def region():
    made = Region.create(slots=1)
    yield made
    made.close()


def test_one_turn_a_second_and_kind_among_all(region):
    one, other = Turns(region.mapping), Turns(region.mapping)
    assert one.take("refused", 10)
    assert not other.take("refused", 10)
    assert not one.take("refused", 10)
    assert not other.take("refused", 9), "the past is over"
    assert other.take("refused", 11)
    assert one.take("timeout", 10)


def test_more_kinds_than_cells_are_never_silenced(region):
    turns = Turns(region.mapping)
    for second in (1, 2):
        assert all(turns.take(f"kind {i}", second) for i in range(400))
    assert sum(turns.take(f"kind {i}", 2) for i in range(400)) == 400 - 256


def test_processes_that_ask_at_once_get_one_turn_between_them(region):
    code = (
        "import sys; from tidegate.memory.region import Region; from tidegate.memory.turns import Turns\n"
        "turns = Turns(Region.attach(int(sys.argv[1])).mapping); sys.stdout.write('.'); sys.stdout.flush()\n"
        "sys.stdin.read(1); print(*[second for second in range(1, 20001) if turns.take('k', second)])\n"
    )
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(region.fd)],
            pass_fds=[region.fd],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for asker in askers:
        assert asker.stdout.read(1) == b"."
    answers = [asker.communicate(b"x", timeout=30)[0] for asker in askers]
    one, other = (set(answer.split()) for answer in answers)
    # A turn for a later second closes the earlier ones, so some go to nobody; none goes to two.
    assert not one & other
    assert b"20000" in one | other
