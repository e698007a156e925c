import pytest
from tests.cli.command import tidegate
from tests.process.gateway import supervised

pytestmark = pytest.mark.e2e


def test_stop_drains_and_waits_for_the_end(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with supervised(workers=1, has_control=True, runtime_dir=tmp_path / "run") as gateway:
        gateway.wait_ready()
        done = tidegate("stop", environment=environment)
        assert (done.returncode, done.stdout) == (0, f"tidegate: stopped (pid {gateway.pid})\n")
        assert gateway.wait(5) == 0


def test_stop_that_takes_too_long_is_told_and_now_ends_it(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with supervised(workers=1, drain_timeout=60.0, has_control=True, runtime_dir=tmp_path / "run") as gateway:
        gateway.wait_ready()
        with gateway.connect() as held:
            held.makefile("rb").readline()
            done = tidegate("stop", "--wait", "0.2", environment=environment)
            assert done.returncode == 1
            assert "has not ended within 0.2 s (--now ends it at once)" in done.stderr
            assert gateway.process.poll() is None
            done = tidegate("stop", "--now", environment=environment)
            assert done.returncode == 0
            assert held.recv(100) == b""
        assert gateway.wait(5) == 0
