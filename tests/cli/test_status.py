import json

import pytest
from tests.cli.command import tidegate
from tests.process.gateway import supervised

from tidegate.cli.status import _duration

pytestmark = pytest.mark.e2e


def test_status_as_table_and_as_json(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with supervised(workers=2, has_control=True, runtime_dir=tmp_path / "run") as gateway:
        gateway.wait_ready()
        done = tidegate("status", environment=environment)
        assert done.returncode == 0
        first, titles, *workers = done.stdout.splitlines()
        assert first.startswith(f"pid {gateway.pid}, serving, up ")
        assert titles.split() == [
            "worker", "pid", "state", "heartbeat", "saturation", "connections", "exchanges", "restarts",
        ]  # fmt: skip
        assert [line.split()[:3] for line in workers] == [
            [str(index), str(pid), "ready"] for index, pid in enumerate(sorted(gateway.workers()))
        ]
        narrow = tidegate("status", environment={**environment, "COLUMNS": "40"})
        assert narrow.stdout.splitlines()[1].split() == titles.split(), "nothing is cut off in a narrow terminal"
        assert "…" not in narrow.stdout and len(narrow.stdout.splitlines()) == 2 + len(workers)
        document = json.loads(tidegate("status", "--json", environment=environment).stdout)
        assert document["pid"] == gateway.pid
        assert [worker["state"] for worker in document["workers"]] == ["ready", "ready"]


def test_durations_are_told_by_their_two_largest_parts():
    assert [_duration(seconds) for seconds in (0.4, 59, 61, 3600, 90061)] == ["0s", "59s", "1m 1s", "1h", "1d 1h"]
