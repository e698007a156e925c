"""The configurations that were active, on disk: the last good one as it was written, and the last twenty.

Rules:
- A file is written beside its place, synced, and renamed: what is there is whole, whatever happens to disk or process.
- It belongs to the gateway's user alone (0600): a configuration may hold secrets in the open.
- Nothing here is needed to serve. A disk that is full costs an entry, and who asked is told.

    last-good.toml | last-good.yaml     the text, to look at
    history/000017.json                 one entry: number, when, who, where from, text, difference to the one before
    mask.key                            what digests of secrets are keyed with
"""

import contextlib
import datetime as dt
import secrets
from pathlib import Path

import msgspec

from tidegate.config.snapshot import Origin, Snapshot
from tidegate.process import state_directory
from tidegate.process.failure import StartError
from tidegate.process.whole_file import write_whole

__all__ = ["KEPT", "Entry", "History", "Past", "of_snapshot"]

KEPT = 20


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration that was active. ``difference`` is None when it is not known what was before."""

    number: int
    etag: str
    origin: Origin
    text: str
    difference: str | None = None


def of_snapshot(snapshot: Snapshot, difference: str | None = None) -> Entry:
    """The entry of a snapshot that has its text."""
    return Entry(
        number=snapshot.number,
        etag=snapshot.etag,
        origin=snapshot.origin,
        text=snapshot.source_text,
        difference=difference,
    )


class _Summary(msgspec.Struct, frozen=True):
    """An entry without its text: the rest of the file is skipped."""

    number: int
    etag: str


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it is shown: without its text, which may hold secrets."""

    number: int
    at: str
    by: str
    kind: str
    source: str
    etag: str
    difference: str | None


class History:
    """The entries of one state directory. Every method touches the disk, and is called beside the loop."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

    def __repr__(self) -> str:
        return f"<History {self.directory}>"

    def add(self, entry: Entry) -> None:
        """Keeps an entry and makes it the last good one; OSError or StartError when that cannot be."""
        state_directory.prepare(self.directory)
        (self.directory / "history").mkdir(mode=0o700, exist_ok=True)
        write_whole(self._path(entry.number), msgspec.json.encode(entry))
        suffix = (".toml", ".yaml") if not entry.origin.is_yaml else (".yaml", ".toml")
        write_whole(self.directory / f"last-good{suffix[0]}", entry.text.encode("utf-8", "surrogatepass"))
        with contextlib.suppress(OSError):
            (self.directory / f"last-good{suffix[1]}").unlink()
        for number in self.numbers()[:-KEPT]:
            with contextlib.suppress(OSError):
                self._path(number).unlink()

    def numbers(self) -> list[int]:
        """The numbers of all entries, oldest first."""
        try:
            names = [path.stem for path in (self.directory / "history").glob("*.json")]
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isdigit())

    def entry(self, number: int) -> Entry | None:
        """One entry; None when there is none, or it cannot be read."""
        try:
            return msgspec.json.decode(self._path(number).read_bytes(), type=Entry)
        except (OSError, msgspec.MsgspecError):
            return None

    def last(self) -> Entry | None:
        """The newest entry that can be read: the last good configuration."""
        for number in reversed(self.numbers()):
            if (entry := self.entry(number)) is not None:
                return entry
        return None

    def past(self) -> list[Past]:
        """All entries as they are shown, newest first."""
        entries = (self.entry(number) for number in reversed(self.numbers()))
        return [
            Past(
                number=one.number,
                at=dt.datetime.fromtimestamp(one.origin.at_s, dt.UTC).isoformat(timespec="milliseconds"),
                by=one.origin.by,
                kind=one.origin.kind,
                source=one.origin.name,
                etag=one.etag,
                difference=one.difference,
            )
            for one in entries
            if one is not None
        ]

    def next_number(self, etag: str) -> int:
        """The number for a gateway that starts: the last one's when it is the same configuration, else the next."""
        numbers = self.numbers()
        if not numbers:
            return 1
        try:
            last = msgspec.json.decode(self._path(numbers[-1]).read_bytes(), type=_Summary)
        except (OSError, msgspec.MsgspecError):
            return numbers[-1] + 1
        return last.number if last.etag == etag else numbers[-1] + 1

    def mask_key(self) -> bytes:
        """The key of this gateway's digests; a passing one when the disk takes none."""
        path = self.directory / "mask.key"
        with contextlib.suppress(OSError):
            if len(key := path.read_bytes()) == 32:
                return key
        key = secrets.token_bytes(32)
        with contextlib.suppress(OSError, StartError):
            state_directory.prepare(self.directory)
            write_whole(path, key)
        return key

    def _path(self, number: int) -> Path:
        return self.directory / "history" / f"{number:06}.json"
