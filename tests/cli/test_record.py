"""``tidegate record show``; what ``tidegate record`` does to a gateway is in tests/e2e/test_recorder.py."""

import json

import pytest
from tests.cli.command import tidegate

from tidegate.observe.recording import Header, Second, WorkerSecond
from tidegate.observe.recording_file import FORMAT, write_recording

pytestmark = pytest.mark.e2e


def test_show_draws_it_or_prints_it_as_json(tmp_path):
    path = tmp_path / "recording.jsonl.gz"
    seconds = [Second(float(at), saturation=at / 10, workers=(WorkerSecond(0, 11, "ready"),)) for at in range(20)]
    write_recording(path, Header(FORMAT, 20.0, "saturation", "saturation 1.90"), seconds)
    drawn = tidegate("record", "show", path, environment={"COLUMNS": "40"})
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.startswith("1970-01-01 00:00:20Z  saturation  saturation 1.90\n")
    assert any("█" in line for line in drawn.stdout.splitlines() if line.strip().startswith("saturation"))
    document = json.loads(tidegate("record", "show", path, "--json").stdout)
    assert document["header"]["seconds"] == len(document["seconds"]) == 20


def test_record_without_a_gateway_says_so(tmp_path):
    done = tidegate("record", environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path)})
    assert done.returncode == 1
    assert "no gateway runs here" in done.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"hello", "is no recording: it does not begin as a gzip file")],
)
def test_show_says_what_is_wrong_with_a_file(tmp_path, content, says):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    done = tidegate("record", "show", path)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
