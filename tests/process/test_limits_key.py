"""The secret of limits' keys: kept, closed to others, and done without where the disk takes none."""

from tidegate.process.limits_key import FILE, limits_key


def test_key_is_made_once_and_for_nobody_else(tmp_path):
    key = limits_key(tmp_path)
    assert len(key) == 32
    assert limits_key(tmp_path) == key
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_file_that_holds_no_key_is_written_anew(tmp_path):
    for content in (b"", b"x" * 31, b"x" * 33):
        (tmp_path / FILE).write_bytes(content)
        key = limits_key(tmp_path)
        assert len(key) == 32
        assert (tmp_path / FILE).read_bytes() == key


def test_key_is_a_passing_one_where_there_is_no_directory(tmp_path):
    missing = tmp_path / "none"
    assert len(limits_key(missing)) == 32
    assert limits_key(missing) != limits_key(missing)
