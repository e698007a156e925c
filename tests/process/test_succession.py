"""Giving back when the next program cannot adopt; real successions are in test_upgrade.py."""

import subprocess
import sys

CODE = """
import sys
from tidegate.process import succession
from tidegate.process.handover import Handover, HoldingsState, WorkforceState
from tidegate.process.messages import SupervisorOrder
from tidegate.process.program import Program

def adopt(taken):
    raise OSError("the hull leaks")

def left(is_given_back):
    program = Program("/nowhere/python", [])
    return Handover(
        order=SupervisorOrder(-1, "", []), started_ns=1, ends_with_terminal=False,
        holdings=HoldingsState(groups=[], region_fd=-1), workers=WorkforceState(1, [], 1, -1, 1), retired=[],
        companions=[], program=program, previous=program, is_given_back=is_given_back,
    )

for is_given_back in (False, True):
    try:
        succession.take_over(left(is_given_back).in_memory(), adopt)
    except OSError as error:
        print(is_given_back, error)
"""


def test_what_cannot_be_adopted_is_given_back_once():
    # The program before is not there either: what is seen is that it was tried, and that it is tried once.
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "False the hull leaks\nTrue the hull leaks\n"
    assert done.stderr == "tidegate: the new supervisor gives back to the old one: the hull leaks\n"
