import os

import pytest
from tests.config.gateways import PLAIN

from tidegate.config.check import check
from tidegate.config.source import FileSource, Unreadable, digest_of, user


def test_text_of_a_file_knows_where_it_was(tmp_path):
    path = tmp_path / "gateway.yml"
    path.write_text("routes: []\n")
    text = FileSource(path).read()
    assert (text.text, text.name, text.directory, text.is_yaml) == ("routes: []\n", str(path), str(tmp_path), True)


def test_what_cannot_be_read_is_a_finding(tmp_path):
    with pytest.raises(Unreadable) as raised:
        FileSource(tmp_path / "gone.toml").read()
    assert raised.value.finding.message == "cannot be read: No such file or directory"
    (tmp_path / "bad.toml").write_bytes(b"ok\n\xff")
    with pytest.raises(Unreadable, match=r"bad\.toml:2: is not UTF-8 text"):
        FileSource(tmp_path / "bad.toml").read()


def test_fingerprint_changes_however_the_file_is_written(tmp_path):
    path, other = tmp_path / "gateway.toml", tmp_path / "other"
    source = FileSource(path)
    seen = [source.fingerprint()]
    assert seen == [""]
    path.write_text("a")
    seen.append(source.fingerprint())
    path.write_text("ab")
    seen.append(source.fingerprint())
    other.write_text("ab")
    other.replace(path)
    seen.append(source.fingerprint())
    os.utime(path, (1, 1))
    seen.append(source.fingerprint())
    assert len(set(seen)) == 5
    assert source.fingerprint() == seen[-1]


def test_snapshot_knows_its_origin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text(PLAIN)
    origin = check("gateway.toml")[0].origin
    assert (origin.kind, origin.name, origin.directory) == ("file", str(tmp_path / "gateway.toml"), str(tmp_path))
    assert origin.text_digest == digest_of(PLAIN)
    assert origin.by == user(os.geteuid())


def test_user_without_a_name_is_a_number():
    assert user(3_999_999_999) == "uid 3999999999"
