"""The file of quotas: whole up to where it was cut short or damaged, and of nobody else's secret."""

import pytest

from tidegate.process.quota_log import Batch, QuotaLogError, Records, pack_batch, pack_head, read_batches

SECRET = bytes(range(32))
BATCHES = [Batch(1000 + at, 7, [Records("month", 64, bytes(24) * at)]) for at in range(3)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "quotas.log"
    path.write_bytes(pack_head(SECRET) + b"".join(map(pack_batch, BATCHES)))
    return path


def test_what_was_written_is_read(file):
    assert list(read_batches(file, SECRET)) == BATCHES


def test_a_file_that_was_cut_short_anywhere_is_what_was_whole(file):
    content = file.read_bytes()
    ends = [len(pack_head(SECRET) + b"".join(map(pack_batch, BATCHES[:count]))) for count in range(4)]
    for size in range(ends[0], len(content) + 1):
        file.write_bytes(content[:size])
        whole = max(count for count, end in enumerate(ends) if end <= size)
        assert list(read_batches(file, SECRET)) == BATCHES[:whole]


def test_a_damaged_batch_is_said_after_what_is_whole_before_it(file):
    content = bytearray(file.read_bytes())
    content[len(pack_head(SECRET)) + len(pack_batch(BATCHES[0])) + 12] ^= 1
    file.write_bytes(content)
    found = []
    with pytest.raises(QuotaLogError, match="damaged"):
        found.extend(read_batches(file, SECRET))
    batches = read_batches(file, SECRET)
    assert next(batches) == BATCHES[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of quotas"),
        (b"something else\n", "no file of quotas"),
        (b"\0" * 1000, "no file of quotas"),
        (pack_head(bytes(32)), "another secret"),
    ],
)
def test_another_file_is_refused(file, content, message):
    file.write_bytes(content)
    with pytest.raises(QuotaLogError, match=message):
        list(read_batches(file, SECRET))


def test_a_link_is_not_followed_and_nothing_is_an_error(tmp_path):
    (tmp_path / "there").write_bytes(pack_head(SECRET))
    (tmp_path / "link").symlink_to("there")
    with pytest.raises(OSError, match="symbolic"):
        list(read_batches(tmp_path / "link", SECRET))
    with pytest.raises(FileNotFoundError):
        list(read_batches(tmp_path / "none", SECRET))


def test_the_secret_is_not_in_it():
    assert SECRET not in pack_head(SECRET)
    assert SECRET.hex().encode() not in pack_head(SECRET)
