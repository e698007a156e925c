"""What can be said of the benchmark without running a gateway."""

import datetime as dt
import time

from benchmarks.trouble.asker import Asker
from benchmarks.trouble.gateway import Event
from benchmarks.trouble.stalls import CONFIGURATION, SERVER, named

from tidegate.config.check import check_text


def test_file_is_a_configuration(tmp_path):
    text = f'[server]\n{SERVER}\n[[listeners]]\nbind = "127.0.0.1:8080"\n{CONFIGURATION}'
    snapshot, findings = check_text(text, directory=tmp_path)
    assert findings == []
    assert snapshot.gateway.server.workers == 2


def test_first_event_about_the_filter_names_its_line():
    at_s = dt.datetime(2026, 11, 21, tzinfo=dt.UTC).timestamp()
    said = "filter=sleeps phase=on_request route=all file=/a/b.py line=12 count=1"
    events = [
        Event(at_s, "loop_recovered", "kind=loop_recovered filter=sleeps file=/a line=1"),
        Event(at_s + 1, "loop_stalled", "kind=loop_stalled worker=1 held_ms=106 filter=other file=/b line=2"),
        Event(at_s + 2, "loop_stalled", f"kind=loop_stalled worker=1 held_ms=106 {said}"),
    ]
    assert named(events) == (at_s + 2, "/a/b.py:12")
    assert named(events[:2]) is None


def test_each_question_is_counted_from_when_it_was_due():
    with Asker(lambda: time.sleep(0.01), 0.001) as asker:
        while len(asker.took_ms) < 5:
            time.sleep(0.001)
    # It falls behind by nine milliseconds each time.
    assert asker.took_ms[4] > 4 * 9


def test_question_that_fails_is_counted():
    def question():
        raise ConnectionError

    with Asker(question, 0.0) as asker:
        while asker.failed < 3:
            time.sleep(0.001)
    assert len(asker.took_ms) == asker.failed
