"""What can be said of the benchmark without running a gateway."""

import re
import time

from benchmarks.stalls import LINE, Asker, Gateway

from tidegate.config.check import check


def test_file_is_a_configuration(tmp_path):
    snapshot, findings = check(Gateway(tmp_path).path)
    assert findings == []
    assert snapshot.gateway.server.workers == 2


def test_event_is_found_in_the_log(tmp_path):
    gateway = Gateway(tmp_path)
    event = (
        "kind=loop_stalled worker=1 held_ms=106 filter=sleeps phase=on_request route=all file=/a/b.py line=12 count=1"
    )
    gateway.log.write_text(
        f"2026-11-21T22:00:00.500Z info process=supervisor kind=loop_recovered filter=sleeps file=/a line=1\n"
        f'2026-11-21T22:00:01.500Z warning process=supervisor {event} message="held"\n'
    )
    at_s, place = gateway.named()
    assert place == "/a/b.py:12"
    assert at_s % 60 == 1.5
    assert re.search(LINE, event)


def test_each_question_is_counted_from_when_it_was_due():
    with Asker(lambda: time.sleep(0.01), 0.001) as asker:
        while len(asker.took_ms) < 5:
            time.sleep(0.001)
    # It falls behind by nine milliseconds each time.
    assert asker.took_ms[4] > 4 * 9
