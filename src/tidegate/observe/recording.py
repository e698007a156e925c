"""What the flight recorder keeps: seconds, events and stacks, as values and as records of its journals.

A record is MessagePack, that of a second compressed. What is too long for its journal loses the least telling part.
``recording_file`` makes a file of them.
"""

from __future__ import annotations

import zlib

import msgspec

__all__ = [
    "Event",
    "Header",
    "KeySecond",
    "Recording",
    "Second",
    "SeriesSecond",
    "Stack",
    "WorkerSecond",
    "pack_record",
    "pack_second",
    "unpack_second",
]


class WorkerSecond(msgspec.Struct, frozen=True, omit_defaults=True):
    """One worker slot."""

    slot: int
    pid: int = 0
    state: str = ""
    lag_s: float = 0.0
    """Worst lag of its loop."""
    connections: int = 0
    in_flight: int = 0
    queued: int = 0
    """Connections in its accept queue."""
    exchanges_per_s: float = 0.0
    pool_share: float = 0.0
    shed_level: float = 0.0
    """Classes of traffic that it refuses for having too much to do, parts of one included."""


class SeriesSecond(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the busiest routes or upstreams."""

    name: str
    exchanges_per_s: float = 0.0
    seconds_per_s: float = 0.0
    bytes_per_s: float = 0.0
    failed_per_s: float = 0.0
    """Of an upstream: refused, reset, timed out or silent."""
    refused_per_s: float = 0.0
    """Of a route: by any limit."""
    upstream_seconds_per_s: float = 0.0
    """Of a route."""
    open: int = 0
    waiting: int = 0
    rtt_s: float | None = None


class KeySecond(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of those who asked most of a limit or route."""

    kind: str
    name: str
    key: str
    requests_per_s: float = 0.0
    refused_per_s: float = 0.0
    upstream_seconds_per_s: float = 0.0
    bytes_per_s: float = 0.0


class Second(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="second"):
    """One step."""

    unix_s: float
    step_s: float = 1.0
    saturation: float = 0.0
    signals: dict[str, float] = {}
    workers: tuple[WorkerSecond, ...] = ()
    routes: tuple[SeriesSecond, ...] = ()
    upstreams: tuple[SeriesSecond, ...] = ()
    keys: tuple[KeySecond, ...] = ()
    link_in_per_s: float = 0.0
    """Bytes, over all interfaces but loopback."""
    link_out_per_s: float = 0.0
    link_share: float | None = None
    time_wait: int | None = None
    ports_share: float | None = None
    descriptors_share: float | None = None
    retransmits_per_s: float = 0.0
    listen_overflows_per_s: float = 0.0
    shed_per_s: dict[str, float] = {}
    """Requests that workers refused for having too much to do, by class of traffic."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="event"):
    """A line of the error log, of any process."""

    unix_s: float
    who: str
    level: str
    kind: str
    message: str
    count: int = 1


class Stack(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="stack"):
    """Where the loop of a worker was at one moment."""

    unix_s: float
    slot: int
    pid: int
    calls: str
    """``file:line function``, one a line, innermost first; empty: in no Python code but the loop's own."""


class Header(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="header"):
    """What the recording is of, and why it was written."""

    tidegate_recording: int
    unix_s: float
    reason: str
    detail: str = ""
    version: str = ""
    pid: int = 0
    generation: int = 0
    snapshot: int = 0
    workers: int = 0
    seconds: int = 0
    events: int = 0
    stacks: int = 0


class Recording(msgspec.Struct, frozen=True):
    """A whole recording."""

    header: Header
    seconds: tuple[Second, ...]
    events: tuple[Event, ...]
    stacks: tuple[Stack, ...]


_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(Second)


def pack_second(second: Second, room: int) -> bytes:
    """``second`` in at most ``room`` bytes: of a large gateway the idlest workers, series and keys are left out."""
    shares = [1.0, 0.5, 0.25, 0.1, 0.0]
    for share in shares:
        packed = zlib.compress(_packer.encode(_thinned(second, share)), 1)
        if len(packed) <= room:
            return packed
    return b""  # not even the totals have room: there is no such room


def _thinned(second: Second, share: float) -> Second:
    if share == 1.0:
        return second
    workers = sorted(second.workers, key=lambda one: (-one.lag_s, -one.in_flight))
    kept = sorted(workers[: int(len(workers) * share)], key=lambda one: one.slot)
    return msgspec.structs.replace(
        second,
        workers=tuple(kept),
        routes=second.routes[: int(len(second.routes) * share)],
        upstreams=second.upstreams[: int(len(second.upstreams) * share)],
        keys=second.keys[: int(len(second.keys) * share)],
    )


def pack_record(record: Event | Stack, room: int) -> bytes:
    """An event or a stack in at most ``room`` bytes: what is too long loses its end."""
    packed = _packer.encode(record)
    field = "message" if isinstance(record, Event) else "calls"
    while len(packed) > room:
        text = getattr(record, field)
        if len(text) < 4:
            return b""  # its names alone are longer: they are not ours
        record = msgspec.structs.replace(record, **{field: text[: len(text) // 2] + "…"})
        packed = _packer.encode(record)
    return packed


def unpack_second(packed: bytes) -> Second:
    """The other way round; ``ValueError`` for what was not packed by ``pack_second``."""
    try:
        return _unpacker.decode(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"no second of a recording: {error}") from error
