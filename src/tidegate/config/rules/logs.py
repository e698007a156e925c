"""Fields and formats of the access log."""

import re
from collections.abc import Iterable

from tidegate.config.findings import Path
from tidegate.config.log_fields import FIELDS, FORMAT_ONLY, split_format
from tidegate.config.rules.subject import Subject

__all__ = ["check_logs"]

_WORDS = {"json", "combined"}


def check_logs(subject: Subject) -> None:
    """What a line is made of is known, and said once."""
    log = subject.gateway.access_log
    known = [field.name for field in FIELDS]
    for index, name in enumerate(log.fields):
        path: Path = ("access_log", "fields", index)
        if name not in known:
            _unknown(subject, path, name, known)
        elif name in log.fields[:index]:
            subject.find(path, f"{name} is given twice")
    if log.format != "json" and subject.says(("access_log", "fields")):
        subject.warn(("access_log", "fields"), 'has no effect, because `format` is not "json"')
    if log.format not in _WORDS:
        try:
            split_format(log.format)
        except ValueError as error:
            piece = re.search(r"'\{([^{}]*)\}'", str(error))
            if piece is None:
                subject.find(("access_log", "format"), str(error))
            else:
                _unknown(subject, ("access_log", "format"), piece[1], [*known, *FORMAT_ONLY])


def _unknown(subject: Subject, path: Path, name: str, known: Iterable[str]) -> None:
    subject.unknown(path, "field of the access log", name, known)
