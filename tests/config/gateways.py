"""A small configuration that is right, and what becomes of it when a piece is added."""

from pathlib import Path

from tidegate.config.check import check_text
from tidegate.config.findings import Finding
from tidegate.config.schema import Gateway

LISTENER = '[[listeners]]\nbind = "127.0.0.1:8080"\n'
UPSTREAM = '[upstreams.app]\nendpoints = ["127.0.0.1:9001"]\n'
ROUTE = '[[routes]]\nname = "all"\nupstream = "app"\n'
PLAIN = LISTENER + UPSTREAM + ROUTE


def accepted(text: str, directory: Path | str = ".") -> Gateway:
    """The gateway of a configuration without any finding."""
    snapshot, findings = check_text(text, directory=directory)
    assert findings == []
    assert snapshot is not None
    return snapshot.gateway


def found(text: str, directory: Path | str = ".") -> list[Finding]:
    """The findings, by line."""
    return check_text(text, directory=directory)[1]


def told(text: str, directory: Path | str = ".") -> list[str]:
    """Path and message of each finding."""
    return [f"{finding.path}: {finding.message}" for finding in found(text, directory)]
