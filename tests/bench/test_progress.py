"""A line each second, where there is a terminal for it."""

import io

from tests.bench.outcomes import MS, text

from tidegate.bench.measured import SecondCounts
from tidegate.bench.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def second(at=0, **changes):
    usual = {"due": 50, "sent": 50, "failed": 0, "answers": {"2xx": 50}, "latency": text([MS] * 50, digits=2)}
    return SecondCounts(at=at, **{**usual, **changes})


def test_a_second_is_said_when_all_processes_have_told_it():
    stream = Terminal()
    progress = Progress(stream, 2)
    progress.tell(second(at=4))
    assert stream.getvalue() == ""
    progress.tell(second(at=4, answers={"2xx": 40, "5xx": 10}, failed=3))
    assert stream.getvalue() == "\r   5 s: 100/s sent, 90 2xx, 10 5xx, 3 failed; p50 1.00 ms, p99 1.00 ms"
    progress.clear()
    assert stream.getvalue().endswith("\r")
    assert stream.getvalue().split("\r")[-2].isspace()


def test_a_shorter_line_covers_a_longer_one():
    stream = Terminal()
    progress = Progress(stream, 1)
    progress.tell(second(failed=12345))
    progress.tell(second(1))
    first, then = stream.getvalue().split("\r")[1:]
    assert len(then) == len(first)


def test_the_warm_up_is_said_to_be_one():
    assert Progress.line([second(-1)]).startswith("warm-up: 50/s sent")
    assert "no answers" in Progress.line([second(answers={}, latency=text([], digits=2))])


def test_a_dumb_terminal_gets_lines_now_and_then():
    stream = Terminal()
    progress = Progress(stream, 1, is_dumb=True)
    for at in range(21):
        progress.tell(second(at))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["1", "11", "21"]
    progress.clear()
    assert "\r" not in stream.getvalue()


def test_what_is_no_terminal_gets_nothing():
    stream = io.StringIO()
    progress = Progress(stream, 1)
    progress.tell(second())
    progress.clear()
    assert stream.getvalue() == ""
