"""[access_log], [error_log], [metrics]."""

from pathlib import Path

from tests.config.gateways import PLAIN, accepted


def test_logs_go_to_the_standard_streams_by_default() -> None:
    gateway = accepted(PLAIN)
    assert (gateway.access_log.path, gateway.access_log.format, gateway.error_log.path) == ("-", "json", "-")
    assert gateway.metrics.series > 0


def test_relative_log_begins_at_the_directory_of_the_file(tmp_path: Path) -> None:
    gateway = accepted(PLAIN + '[access_log]\npath = "access.log"\n[error_log]\npath = "error.log"\n', tmp_path)
    assert gateway.access_log.path == str(tmp_path / "access.log")
    assert gateway.error_log.path == str(tmp_path / "error.log")


def test_access_log_may_be_off() -> None:
    assert accepted(PLAIN + '[access_log]\npath = "off"\n').access_log.path == "off"
