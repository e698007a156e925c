"""Virtual time: things happen when they are due, in order, once."""

from tidegate.lab.sim.clock import SECOND_NS, Clock


def test_things_happen_when_they_are_due():
    clock, seen = Clock(), []
    clock.after(300, lambda: seen.append(("c", clock.now_ns)))
    clock.after(100, lambda: seen.append(("a", clock.now_ns)))
    clock.after(200, lambda: clock.after(50, lambda: seen.append(("b", clock.now_ns))))
    clock.run(1000)
    assert seen == [("a", 100), ("b", 250), ("c", 300)]
    assert clock.now_ns == 1000


def test_of_one_moment_the_first_planned_is_first():
    clock, seen = Clock(), []
    for at in range(5):
        clock.after(7, seen.append, at)
    clock.run(8)
    assert seen == [0, 1, 2, 3, 4]


def test_what_is_cancelled_does_not_happen():
    clock, seen = Clock(), []
    event = clock.after(5, seen.append, "never")
    event.cancel()
    event.cancel()
    clock.run(10)
    assert seen == []


def test_it_stands_where_it_was_told_to():
    clock, seen = Clock(), []
    clock.after(SECOND_NS, seen.append, "later")
    clock.run(SECOND_NS)
    assert seen == []
    assert clock.now_s == 1.0
    clock.after(-5, seen.append, "the past is now")
    clock.run(SECOND_NS + 1)
    assert seen == ["later", "the past is now"]
    assert "0 due" in repr(clock)
