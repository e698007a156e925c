"""What can be said without a gateway; with one in tests/e2e/test_reload.py."""

from tests.cli.command import tidegate


def test_nothing_to_reload(tmp_path):
    done = tidegate("reload", environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert "no gateway runs here" in done.stderr


def test_help_says_what_it_is():
    assert "active on all workers, or on none" in tidegate("reload", "--help").stdout
