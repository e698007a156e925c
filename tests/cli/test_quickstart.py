import socket
from pathlib import Path

import pytest
from benchmarks.ports import free_port
from tests.cli.command import tidegate

from tidegate.cli.quickstart import BUNDLED, how_to_reach
from tidegate.config.check import check

ROOT = Path(__file__).parents[2]


def test_example_is_the_bundled_file():
    assert (ROOT / "examples" / "quickstart.toml").read_bytes() == BUNDLED.read_bytes()


def test_bundled_configuration_is_valid_without_a_warning():
    snapshot, findings = check(BUNDLED)
    assert findings == []
    assert snapshot is not None


def test_port_in_use_is_1_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = tidegate(
            "quickstart", "--port", port, "--admin-port", free_port(), "--upstream-port", free_port(),
            environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"tidegate: cannot listen on 127.0.0.1:{port}: another program")
    assert done.stderr.count("\n") == 1


def test_missing_file_is_3_in_one_line(tmp_path):
    done = tidegate("quickstart", tmp_path / "absent.toml")
    assert done.returncode == 3
    assert done.stderr == f"tidegate: {tmp_path}/absent.toml cannot be read: No such file or directory\n"


def test_own_configuration_is_checked(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(BUNDLED.read_text().replace('upstream = "demo"', 'upstream = "dmeo"'))
    done = tidegate("quickstart", path)
    assert done.returncode == 3
    assert 'did you mean "demo"?' in done.stderr


@pytest.mark.parametrize(
    ("bind", "is_tls", "reached"),
    [
        ("127.0.0.1:8080", False, ("", "http://127.0.0.1:8080")),
        ("0.0.0.0:8443", True, ("", "https://127.0.0.1:8443")),
        ("[::]:8080", False, ("", "http://[::1]:8080")),
        ("unix:/run/gate.sock", False, ("--unix-socket /run/gate.sock ", "http://localhost")),
    ],
)
def test_lines_to_try_reach_the_listener(bind, is_tls, reached):
    assert how_to_reach(bind, is_tls=is_tls) == reached
