from tidegate.observe.blocked_time import BlockedTime
from tidegate.observe.stalls import Frame

SLEEP = [Frame("/a/b.py", 3, "inner"), Frame("/a/b.py", 9, "outer")]


def test_stalls_in_the_same_calls_are_added_up_from_the_outermost_on():
    blocked = BlockedTime()
    blocked.add(0, SLEEP, "(nobody)", 100)
    blocked.add(0, SLEEP, "(nobody)", 50)
    blocked.add(1, SLEEP, "(nobody)", 500)
    blocked.add(1, [], "(nobody)", 5)
    calls = ["outer (/a/b.py:9)", "inner (/a/b.py:3)"]
    assert blocked.stacks() == [
        {"worker": 1, "calls": calls, "held_ns": 500, "times": 1},
        {"worker": 0, "calls": calls, "held_ns": 150, "times": 2},
        {"worker": 1, "calls": ["(nobody)"], "held_ns": 5, "times": 1},
    ]
    assert repr(blocked) == "<BlockedTime 0.000 s in 3 stacks>"


def test_there_are_never_more_stacks_than_may_be_and_no_time_is_lost():
    blocked = BlockedTime(stacks_max=3)
    for line in range(100):
        blocked.add(0, [Frame("/a.py", line, "f")], "", 10)
    stacks = blocked.stacks()
    assert len(stacks) == 4 and sum(one["held_ns"] for one in stacks) == 1000
    assert stacks[0] == {"worker": 0, "calls": ["(other stacks)"], "held_ns": 970, "times": 97}
