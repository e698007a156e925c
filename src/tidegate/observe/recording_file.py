"""The file that a recording becomes.

It is a gzip file of JSON lines, each an object whose field ``line`` says what it is: first the ``header``, with the
number of the format and how many lines of each kind follow; then ``second``, ``event`` and ``stack`` in the order of
time. So ``zcat FILE | jq`` reads it without us. What is not known is absent; figures are per second where the name says
so. A later version may add fields, which are passed over; another number of the format is refused by name.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tidegate.observe.recording import Event, Header, Recording, Second, Stack

__all__ = ["FORMAT", "RecordingError", "read_recording", "write_recording"]

FORMAT = 1
_UNPACKED_MAX = 256 << 20
_LINES_AT_ONCE = 16

_writer = msgspec.json.Encoder()
_reader: msgspec.json.Decoder[Header | Second | Event | Stack] = msgspec.json.Decoder(Header | Second | Event | Stack)


class RecordingError(ValueError):
    """A file that is no recording, or a damaged one; the message is for people."""


def write_recording(path: Path, header: Header, lines: Sequence[Second | Event | Stack]) -> int:
    """Writes a recording, whole or not at all, and returns its size; ``OSError`` when it cannot be.

    ``header`` needs no counts. To be called in a thread: it gives the interpreter up every few lines, so that whoever
    answers about health meanwhile is not held.
    """
    counts = {kind: sum(isinstance(line, kind) for line in lines) for kind in (Second, Event, Stack)}
    header = msgspec.structs.replace(
        header, seconds=counts[Second], events=counts[Event], stacks=counts[Stack], tidegate_recording=FORMAT
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as file:
                file.write(_writer.encode(header) + b"\n")
                for at in range(0, len(lines), _LINES_AT_ONCE):
                    file.write(b"".join(_writer.encode(line) + b"\n" for line in lines[at : at + _LINES_AT_ONCE]))
                    time.sleep(0.0005)
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    return path.stat().st_size


def read_recording(path: Path) -> Recording:
    """Reads a recording back.

    Raises:
        RecordingError: the file is something else, cut short, damaged, or of another format.
        OSError: it cannot be read.
    """
    content = _unpacked(path)
    lines = content.split(b"\n")
    if lines.pop() != b"":
        raise RecordingError(f"{path} is cut short: its last line has no end")
    header = _header(path, lines[0] if lines else b"")
    found: dict[type, list[Second | Event | Stack]] = {Second: [], Event: [], Stack: []}
    for number, line in enumerate(lines[1:], 2):
        try:
            one = _reader.decode(line)
            if isinstance(one, Header):
                raise RecordingError(f"{path} is damaged: line {number} is a second header")
            found[type(one)].append(one)
        except msgspec.MsgspecError as error:
            raise RecordingError(f"{path} is damaged in line {number}: {error}") from error
    expected = {Second: header.seconds, Event: header.events, Stack: header.stacks}
    for kind, count in expected.items():
        if len(found[kind]) != count:
            name = kind.__name__.lower()
            raise RecordingError(f"{path} is cut short: it has {len(found[kind])} of {count} lines of kind {name}")
    return Recording(header, *(_in_order(found[kind]) for kind in (Second, Event, Stack)))  # type: ignore[arg-type]


def _in_order(lines: Iterable[Second | Event | Stack]) -> tuple[Second | Event | Stack, ...]:
    return tuple(sorted(lines, key=lambda line: line.unix_s))


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            raise RecordingError(f"{path} is no recording: it does not begin as a gzip file")
        raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=raw) as file:
                content = file.read(_UNPACKED_MAX + 1)
        except EOFError as error:
            raise RecordingError(f"{path} is cut short") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise RecordingError(f"{path} is damaged: {error}") from error
    if len(content) > _UNPACKED_MAX:
        raise RecordingError(f"{path} is no recording: it unpacks to more than {_UNPACKED_MAX >> 20} MiB")
    return content


def _header(path: Path, line: bytes) -> Header:
    try:
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        number = msgspec.json.decode(fields["tidegate_recording"], type=int)
    except (msgspec.MsgspecError, KeyError) as error:
        raise RecordingError(f"{path} is no recording of Tidegate: its first line is no header") from error
    if number != FORMAT:
        raise RecordingError(f"{path} is a recording of format {number}; this version reads format {FORMAT}")
    try:
        header = _reader.decode(line)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path} is damaged in line 1: {error}") from error
    if not isinstance(header, Header):
        raise RecordingError(f"{path} is no recording of Tidegate: its first line is no header")
    return header
