"""The figures in the terminal."""

import io

from rich.console import Console
from tests.bench.outcomes import ASKED, failing, measured

from tidegate.bench.document import document_of
from tidegate.bench.table import seconds, show


def shown(counted, **console):
    out = io.StringIO()
    show(document_of(counted, ASKED, began_unix_s=0), Console(file=out, width=300, highlight=False, **console))
    return out.getvalue()


def test_durations_have_three_digits():
    assert [seconds(value) for value in (5e-9, 1.234e-6, 45.67e-6, 0.9994e-3, 0.9996, 12.345, 123.4, None)] == [
        "5.00 ns", "1.23 µs", "45.7 µs", "999 µs", "1.00 s", "12.3 s", "123 s", "",
    ]  # fmt: skip


def test_a_table_has_every_status_apart_and_both_times():
    text = shown(failing())
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert {"200", "429", "503", "connection_refused", "latency,", "service"} <= set(rows)
    assert "50.00%" in rows["200"]
    assert "4xx" not in rows  # of one status alone a class says nothing more
    assert "rate: asked 100.0/s, sent 100.0/s, answered 100.0/s" in text
    assert "note: 25 of 125 requests" in text


def test_a_server_commands_no_terminal_and_without_one_there_are_no_colours():
    assert "\x1b" not in shown(failing())
    coloured = shown(failing(), force_terminal=True, color_system="standard")
    assert "\x1b[31m" in coloured
    assert "<refused>\x1b" not in coloured


def test_closed_loop_has_one_latency():
    text = shown(measured(is_open_loop=False))
    assert "from when it was due" not in text
    assert "rate: sent 100.0/s, answered 100.0/s" in text


def test_nothing_at_all_is_shown_as_well():
    assert "0 answered" in shown(measured(statuses={}, due=0, sent=0, in_time=0, by_second=[]))
