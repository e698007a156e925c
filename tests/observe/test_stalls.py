"""Stacks read, culprits found, and how often the same stall is said."""

import itertools

import pytest

from tidegate.observe.stalls import Frame, StallBook, culprit, parse_native_stack, parse_stack, render_stack

STACK = b"""Stack (most recent call first):
  File "/usr/lib/python3.11/socket.py", line 706 in readinto
  File "/venv/lib/redis/connection.py", line 12 in read_response
  File "/srv/acme/sessions.py", line 30 in look_up
  File "/srv/acme/gateway.py", line 7 in on_request
  File "/usr/lib/python3.11/asyncio/runners.py", line 118 in run
  File "/venv/lib/tidegate/process/worker.py", line 166 in main
  File "<frozen runpy>", line 88 in _run_code
"""
MODULES = {"session": "acme.gateway", "plan": "acme.plan", "cors": "tidegate.filters.cors"}


def test_stack_is_read_without_the_frames_of_the_loop():
    frames = parse_stack(STACK)
    assert frames[0] == Frame("/usr/lib/python3.11/socket.py", 706, "readinto")
    assert frames[-1] == Frame("/srv/acme/gateway.py", 7, "on_request")
    assert frames[-1].place == "/srv/acme/gateway.py:7"
    assert render_stack(frames, longest=2) == (
        "python3.11/socket.py:706 readinto < redis/connection.py:12 read_response < 2 more"
    )


def test_stack_that_was_cut_gives_the_lines_that_are_whole():
    whole = parse_stack(STACK)
    for cut in range(len(STACK)):
        frames = parse_stack(STACK[:cut])
        # The loop's own frames may be missing at the end, and then nothing is taken off.
        assert frames == whole[: len(frames)]


@pytest.mark.parametrize("text", [b"", b"Stack (most recent call first):\n", b"\n\n", b'  File "x", line y in z\n'])
def test_nothing_to_be_read_is_no_frames(text):
    assert parse_stack(text) == []


def test_line_that_is_not_known_is_none():
    assert parse_stack(b'  File "/a.py", line ??? in f\n') == [Frame("/a.py", 0, "f")]


def test_culprit_is_the_innermost_line_of_the_filters_own_package():
    frames = parse_stack(STACK)
    assert culprit(frames, MODULES, "session") == (Frame("/srv/acme/sessions.py", 30, "look_up"), "session")


def test_without_a_mark_the_filter_is_known_by_its_file():
    assert culprit(parse_stack(STACK), MODULES)[1] == "session"
    other = {"session": "acme.gateway", "again": "acme.gateway"}
    assert culprit(parse_stack(STACK), other)[1] == "again or session"
    assert culprit(parse_stack(STACK), {"single": "gateway"}) == (
        Frame("/srv/acme/gateway.py", 7, "on_request"),
        "single",
    )


def test_code_of_no_filter_is_told_where_it_is():
    frames = [Frame("/usr/lib/python3.11/threading.py", 3, "wait")]
    assert culprit(frames, MODULES) == (frames[0], "")
    assert culprit(frames, {}) == (frames[0], "")
    assert culprit([], MODULES, "plan") == (None, "plan")


def test_place_is_said_at_once_and_then_less_and_less_with_its_count():
    book = StallBook()
    said = []
    for tick in range(1300):  # five stalls a second
        now_s = tick / 5
        book.offer(now_s, "here", "held", {})
        if (line := book.due(now_s)) is not None:
            said.append((now_s, line.times))
    assert said[0] == (0.0, 1)
    gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(said)]
    assert gaps[:6] == pytest.approx([1.2, 2, 4, 8, 16, 32], abs=0.25)
    assert gaps[6:] == pytest.approx([60] * len(gaps[6:]), abs=0.25)
    assert len(gaps) > 7
    counted = sum(times for _, times in said)
    assert 1300 - counted == round((1299 / 5 - said[-1][0]) * 5)


def test_new_place_goes_before_those_that_are_known_and_each_second_has_one_line():
    book = StallBook()
    assert book.offer(0.0, "a", "a", {})
    assert book.due(0.0).message == "a"
    assert not book.offer(0.1, "a", "a again", {})
    assert book.offer(0.2, "b", "b", {})
    assert book.due(0.3) is None
    assert book.due(1.1).message == "b"
    assert book.due(2.0) is None
    again = book.due(2.2)
    assert (again.message, again.times) == ("a again", 1)
    assert book.due(9.0) is None


def test_place_that_was_quiet_for_long_is_said_at_once_again():
    book = StallBook(longest_gap_s=5.0)
    for now_s in range(20):
        book.offer(now_s, "a", "a", {})
        book.due(now_s)
    book.due(100.0)
    assert book.offer(200.0, "a", "back", {})
    assert book.due(200.0).message == "back"


def test_book_is_bounded_and_forgets_who_is_quiet():
    book = StallBook(places_max=3)
    for number in range(10):
        book.offer(float(number), f"place {number}", "", {})
        book.due(float(number))
    assert repr(book).startswith("<StallBook 3 places")


NATIVE = b"""[
 {"pid": 9, "os_thread_id": 10, "thread_name": "other", "frames": [
  {"name": "x", "filename": "/x.so", "module": "/x.so"}
 ]},
 {"pid": 9, "os_thread_id": 9, "thread_name": "MainThread", "frames": [
  {"name": "poll", "filename": "/usr/lib/libc.so.6", "module": "/usr/lib/libc.so.6", "line": 0, "is_entry": true},
  {"name": "on_request", "filename": "/srv/acme/gateway.py", "module": null, "line": 12, "locals": null}
 ]}
]"""


def test_native_stack_is_that_of_the_thread_of_the_loop() -> None:
    assert parse_native_stack(NATIVE, 9) == ["poll (libc.so.6)", "acme/gateway.py:12 on_request"]
    assert parse_native_stack(NATIVE, 11) == []
    assert parse_native_stack(NATIVE[:-4], 9) == []
    assert parse_native_stack(b"", 9) == []
