"""Files of a configuration; cases/files.toml has the ways in which they can be wrong."""

from pathlib import Path

import pytest
import trustme
from tests.config.gateways import PLAIN, ROUTE, UPSTREAM, accepted, told

TLS = '[[listeners]]\nbind = "127.0.0.1:8443"\ntls = { certificates = [{ cert = "tls/a.pem", key = "tls/a.key" }] }\n'


def furnish(directory: Path) -> None:
    (directory / "tls").mkdir()
    issued = trustme.CA().issue_cert("a.example")
    issued.private_key_pem.write_to_path(directory / "tls/a.key")
    issued.cert_chain_pems[0].write_to_path(directory / "tls/a.pem")


def test_good_pair_is_taken_and_its_paths_are_absolute(tmp_path: Path) -> None:
    furnish(tmp_path)
    (listener,) = accepted(TLS + UPSTREAM + ROUTE, tmp_path).listeners
    assert listener.tls is not None
    assert listener.tls.certificates[0].cert == str(tmp_path / "tls/a.pem")


def test_what_cannot_be_read_is_told_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path)
    plain_open = Path.open

    def refuse(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == "a.key":  # root, who may run the tests, can read everything
            raise PermissionError(13, "Permission denied")
        return plain_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    (finding,) = told(TLS + UPSTREAM + ROUTE, tmp_path)
    assert finding.endswith("a.key cannot be read: Permission denied")


def test_unreadable_file_is_told_once_for_each_place(tmp_path: Path) -> None:
    assert len(told(TLS + UPSTREAM + ROUTE, tmp_path)) == 2


def test_log_beside_the_configuration_needs_no_file(tmp_path: Path) -> None:
    assert told(PLAIN + '[access_log]\npath = "access.log"\n', tmp_path) == []
    assert not (tmp_path / "access.log").exists(), "checking writes nothing"


def test_what_root_has_opened_need_not_be_writable_for_the_user_who_checks_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    log = '[access_log]\npath = "access.log"\n[server]\nuser = 4321\ngroup = 4321\n'
    assert [one.partition("access.log ")[2] for one in told(PLAIN + log, tmp_path)] == [
        "cannot be written: Permission denied"
    ]
    monkeypatch.setattr("os.geteuid", lambda: 4321)
    assert told(PLAIN + log, tmp_path) == []
    assert len(told(PLAIN + log.partition("[server]")[0], tmp_path)) == 1
