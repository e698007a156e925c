"""A recording drawn: peaks stay visible, what was said is on the axis, and nothing in a file commands the terminal."""

import io

from rich.console import Console

from tidegate.cli.drawing import draw, spark
from tidegate.observe.recording import Event, Header, KeySecond, Recording, Second, SeriesSecond, Stack, WorkerSecond

BEGIN_S = 1_795_327_200.0  # 2026-11-22 06:00:00 UTC


def second(at, lag_s=0.001, **more):
    workers = (WorkerSecond(0, 11, "ready", 0.001, 10, 1), WorkerSecond(1, 12, "ready", lag_s, 20, 3, queued=5))
    return Second(BEGIN_S + at, saturation=lag_s / 0.1, workers=workers, **more)


def drawn(seconds=(), events=(), stacks=(), **header):
    out = io.StringIO()
    made = Header(1, BEGIN_S + 600, "stall", seconds=len(seconds), events=len(events), stacks=len(stacks), **header)
    draw(Recording(made, tuple(seconds), tuple(events), tuple(stacks)), Console(file=out, width=1000))
    return out.getvalue()


def row(text, name):
    return next(line for line in text.splitlines() if line.strip().startswith(name))


def test_a_peak_of_one_second_is_seen_where_it_was():
    text = drawn([second(at, lag_s=1.5 if at == 301 else 0.001) for at in range(600)])
    lag = row(text, "loop lag of 1")
    assert "█" in lag
    assert lag.count("█") == 1
    assert "1500 ms" in lag
    assert lag.rstrip().endswith("06:05:01")
    assert "█" not in row(text, "loop lag of 0").replace("█", "", 60)
    assert "15" in row(text, "saturation")
    assert "accept queue" in text
    assert "TIME_WAIT" not in text, "what is not known has no line"


def test_what_was_said_is_marked_on_the_axis_and_told_below():
    events = [
        Event(BEGIN_S + 10, "worker 1", "warning", "dial_failed", "no route [bold]to[/bold] host", 7),
        Event(BEGIN_S + 599, "supervisor", "error", "process_died", "worker 1 is gone"),
    ]
    text = drawn([second(at) for at in range(600)], events)
    marks = row(text, "said (below)")
    assert marks.rindex("b") - marks.index("a", 16) == 58
    assert "no route [bold]to[/bold] host" in row(text, "a  06:00:10")
    assert "process_died" in row(text, "b  06:09:59")


def test_of_too_many_events_the_gravest_are_told():
    events = [Event(BEGIN_S + at, "worker 0", "info", f"kind{at}", "m") for at in range(90)]
    events[50] = Event(BEGIN_S + 50, "worker 0", "error", "the_grave_one", "m")
    text = drawn([second(at) for at in range(100)], events)
    assert "the_grave_one" in text
    assert "and 50 more" in text


def test_who_had_the_most_comes_first():
    seconds = [
        second(
            at,
            routes=(SeriesSecond("light", 1000.0, 1.0, 5e6), SeriesSecond("heavy", 2.0, 30.0, 1e3)),
            upstreams=(SeriesSecond("orders", 50.0, 5.0, 1.0, failed_per_s=3.0, waiting=at),),
            time_wait=at,
        )
        for at in range(10)
    ]
    text = drawn(seconds)
    assert text.index(" heavy ") < text.index(" light ")
    assert row(text, "heavy").split() == ["heavy", "20", "2", "300", "15", "s", "10.0", "kB", "0", "0"]
    assert row(text, "orders").split()[-2:] == ["30", "9"]
    assert "TIME_WAIT" in text


def test_stacks_are_counted_by_where_they_were():
    stacks = [Stack(BEGIN_S, 1, 12, "auth.py:7 on_request\nbase.py:1 f"), Stack(BEGIN_S + 10, 1, 12, "")] * 2
    stacks.append(Stack(BEGIN_S, 1, 12, "auth.py:7 on_request\nbase.py:1 f"))
    text = drawn((), (), stacks)
    assert "3 of 5" in row(text, "1       3 of 5")
    assert "auth.py:7 on_request < base.py:1 f" in text


def test_nothing_in_a_file_commands_the_terminal():
    evil = "\x1b[31mred\x07"
    text = drawn([second(0)], [Event(BEGIN_S, evil, "warning", evil, evil)], [Stack(9e99, 0, 1, evil)], detail=evil)
    assert "\x1b[31m" not in text
    assert "\x07" not in text
    assert "red" in text


def test_an_empty_recording_is_drawn_too():
    assert "0 seconds, 0 events, 0 stacks" in drawn()
    assert "saturation" in drawn([second(0)])


def test_spark():
    assert spark([None, 0.0, 0.01, 4.0, 8.0], 8.0) == " ·▁▅█"
    assert spark([1.0], 0.0) == "·"


def test_who_asked_most_is_told_with_all_that_he_had():
    greedy = KeySecond("limit", "edge", "10.0.0.9\x1b[2J", 100.0, refused_per_s=90.0)
    slow = KeySecond("route", "reports", "acme", 1.0, upstream_seconds_per_s=2.0)
    text = drawn([second(at, keys=(greedy, slow)) for at in range(10)])
    assert row(text, "limit edge").split() == ["limit", "edge", "10.0.0.9", "[2J", "1,000", "100", "900", "0", "0", "B"]
    assert row(text, "route reports").split() == ["route", "reports", "acme", "10", "1", "0", "20", "0", "B"]
