"""The file of a recording: whole or absent, and what is said about one that is neither."""

import gzip
import json
import resource

import msgspec
import pytest

from tidegate.observe.recording import Event, Header, Second, Stack, WorkerSecond
from tidegate.observe.recording_file import FORMAT, RecordingError, read_recording, write_recording

HEADER = Header(tidegate_recording=FORMAT, unix_s=60.0, reason="stall", detail="worker 1 stood", version="0", workers=2)
LINES = [
    Second(1.0, workers=(WorkerSecond(0, 17, "ready"),), signals={"loop_lag": 0.1}),
    Event(1.5, "supervisor", "error", "process_died", "worker 1 is gone\n\u2026"),
    Second(2.0),
    Stack(2.5, 1, 18, "a.py:1 f\nb.py:2 g"),
    *(Second(float(i)) for i in range(3, 60)),
]


@pytest.fixture
def path(tmp_path):
    write_recording(tmp_path / "recording.jsonl.gz", HEADER, LINES)
    return tmp_path / "recording.jsonl.gz"


def test_a_recording_comes_back_whole(path):
    found = read_recording(path)
    assert found.header == msgspec.structs.replace(HEADER, seconds=59, events=1, stacks=1)
    for kept, kind in [(found.seconds, Second), (found.events, Event), (found.stacks, Stack)]:
        assert list(kept) == [line for line in LINES if isinstance(line, kind)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_anybody_can_read_it_as_json_lines(path):
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [line["line"] for line in lines[:5]] == ["header", "second", "event", "second", "stack"]
    assert lines[0]["tidegate_recording"] == 1
    assert lines[0]["reason"] == "stall"
    assert lines[1]["workers"] == [{"slot": 0, "pid": 17, "state": "ready"}]


def rewritten(path, change):
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(change(lines))))
    return path


def test_every_cut_is_noticed(path):
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(RecordingError, match=str(path)):
            read_recording(path)
    path.write_bytes(whole)
    rewritten(path, lambda lines: lines[:-1])
    with pytest.raises(RecordingError, match="58 of 59 lines of kind second"):
        read_recording(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line is no header"),
        ("hello\n", "its first line is no header"),
        ('{"line":"second"}\n', "its first line is no header"),
        ('{"line":"second","tidegate_recording":1,"unix_s":1}\n', "its first line is no header"),
        ('{"tidegate_recording":2}\n', "of format 2; this version reads format 1"),
        ('{"line":"header","tidegate_recording":1}\n', "damaged in line 1"),
        ("no end", "its last line has no end"),
    ],
)
def test_a_foreign_text_is_refused_by_what_it_is(tmp_path, text, says):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(RecordingError, match=says):
        read_recording(path)


def test_what_is_no_gzip_file_is_refused(tmp_path):
    path = tmp_path / "file"
    for content in (b"", b"hello\n"):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="does not begin as a gzip file"):
            read_recording(path)
    path.write_bytes(gzip.compress(b"hello" * 100)[:20] + bytes(50))
    with pytest.raises(RecordingError, match="damaged"):
        read_recording(path)


def test_damage_is_told_with_its_line(path):
    rewritten(path, lambda lines: [*lines[:2], b'{"line":"event","who":7}\n', *lines[3:]])
    with pytest.raises(RecordingError, match="damaged in line 3"):
        read_recording(path)
    rewritten(path, lambda lines: [lines[0], lines[0]])
    with pytest.raises(RecordingError, match="line 2 is a second header"):
        read_recording(path)


def test_fields_of_a_later_version_are_passed_over(path):
    rewritten(path, lambda lines: [line.replace(b'{"line":', b'{"moon_phase":3,"line":') for line in lines])
    assert len(read_recording(path).seconds) == 59


def test_what_unpacks_without_end_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(257):
            file.write(bytes(1 << 20))
    with pytest.raises(RecordingError, match="more than 256 MiB"):
        read_recording(path)


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path):
    path = tmp_path / "recording.jsonl.gz"
    path.write_bytes(b"the one before")
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, bounds[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_recording(path, HEADER, LINES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"the one before"
