import json
from pathlib import Path

from benchmarks import record
from benchmarks.goals import at_least
from benchmarks.scenarios import Result

FACTS = {
    "when": "2026-01-01T00:00:00+00:00",
    "command": "python -m benchmarks --record",
    "revision": "abc",
    "machine": "a CPU, 2 cores",
    "kernel": "6.1",
    "python": "3.11",
    "wrk": "wrk 4",
    "contenders": {"nginx": {"version": "nginx/1.22.1", "command": "/usr/sbin/nginx -c /tmp/x/nginx.conf"}},
}
RESULT = Result("small", "a title", [{"contender": "nginx", "requests/s": "1"}], [at_least("ratio", 1.2, 1.05)])


def test_recording_again_replaces_only_the_recorded_section() -> None:
    once = record.update("# Results\n\nBy hand.\n", record.section(FACTS, [RESULT]))
    again = record.update(once + "\nAfterwards.\n", record.section({**FACTS, "revision": "def"}, [RESULT]))
    assert again.count(record.BEGIN) == again.count(record.END) == 1
    assert "By hand." in again and "Afterwards." in again
    assert "revision def" in again and "revision abc" not in again


def test_section_has_versions_and_verdicts_but_no_paths_of_this_machine() -> None:
    text = record.section(FACTS, [RESULT])
    assert "nginx/1.22.1" in text and "`nginx -c nginx.conf`" in text
    assert "met  ratio at least 1.05: 1.2" in text
    assert "/tmp/x" not in text


def test_json_holds_results_and_circumstances(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    record.write_json(path, FACTS, [RESULT])
    written = json.loads(path.read_text())
    assert written["revision"] == "abc"
    assert written["results"][0]["verdicts"][0]["met"] is True
