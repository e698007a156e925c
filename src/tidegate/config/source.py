"""Where the text of the configuration comes from: a file; later whatever else has text and can say that it changed.

A source is read by control when it is asked to reload, and its fingerprint is looked at once a second when it is
watched. What it gives is text with a name, and nothing of it is believed before it was checked.
"""

import hashlib
import os
import pwd
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol

from tidegate.config.declarations import walk
from tidegate.config.findings import Finding, Path
from tidegate.config.kinds import File, WrittenFile
from tidegate.config.load import read_text
from tidegate.config.schema import Gateway
from tidegate.config.secrets import is_reference
from tidegate.config.snapshot import Origin

__all__ = [
    "FileSource",
    "Source",
    "Text",
    "Unreadable",
    "digest_of",
    "files_digest",
    "in_the_open",
    "origin_of",
    "user",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The text of a configuration, and how it is to be read."""

    text: str
    name: str  # what findings call it
    directory: str  # where relative paths begin
    is_yaml: bool = False


class Unreadable(Exception):
    """A source gives no text; ``finding`` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Source(Protocol):
    """Gives the configuration. Both methods may wait for a disk or a network, so they are called beside the loop."""

    name: str

    def read(self) -> Text:
        """The text as it is now. Raises Unreadable."""

    def fingerprint(self) -> str:
        """Changes whenever the text may have changed, and is cheap; "" while there is nothing."""


class FileSource:
    """One file: TOML, or YAML by its name."""

    def __init__(self, path: str | FilePath) -> None:
        self._path = FilePath(path)
        self.name = str(path)

    def __repr__(self) -> str:
        return f"<FileSource {self.name}>"

    def read(self) -> Text:
        """The text of the file."""
        found = read_text(self._path)
        if isinstance(found, Finding):
            raise Unreadable(found)
        return Text(
            text=found,
            name=self.name,
            directory=str(self._path.absolute().parent),
            is_yaml=self._path.suffix.lower() in (".yaml", ".yml"),
        )

    def fingerprint(self) -> str:
        """Which file it is, how large, and when it was written: an editor that renames makes another file."""
        try:
            found = self._path.stat()
        except OSError:
            return ""
        return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def digest_of(text: str) -> str:
    """Of the text of a source, to tell whether it is still the one that is active."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def origin_of(path: FilePath, text: str, gateway: Gateway | None, secrets: Mapping[Path, str]) -> Origin:
    """The origin of what this user read from a file just now."""
    return Origin(
        name=str(path.absolute()),
        directory=str(path.absolute().parent),
        is_yaml=path.suffix.lower() in (".yaml", ".yml"),
        by=user(os.geteuid()),
        at_s=round(time.time(), 3),
        text_digest=digest_of(text),
        files_digest=files_digest(gateway, secrets),
        secrets=in_the_open(secrets),
    )


def in_the_open(secrets: Mapping[Path, str]) -> tuple[Path, ...]:
    """The places of those that are no references."""
    return tuple(path for path, text in secrets.items() if not is_reference(text))


def _named_files(gateway: Gateway, secrets: Mapping[Path, str]) -> list[str]:
    """The files that a configuration names and that are read, not written."""
    named = [name for _, kind, name in walk(gateway, File) if not isinstance(kind, WrittenFile)]
    named += [text.removeprefix("file:") for text in secrets.values() if text.startswith("file:")]
    return sorted(set(named))


def files_digest(gateway: Gateway | None, secrets: Mapping[Path, str]) -> str:
    """Changes when one of the files that the configuration names was written anew."""
    digest = hashlib.sha256()
    for name in _named_files(gateway, secrets) if gateway is not None else ():
        try:
            found = FilePath(name).stat()
            digest.update(f"{name}\0{found.st_ino}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
        except (OSError, ValueError):
            digest.update(f"{name}\n".encode())
    return digest.hexdigest()[:32]


def user(uid: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return f"uid {uid}"
