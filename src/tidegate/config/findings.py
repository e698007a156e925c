"""What a check says: a finding for each thing that is wrong, with its place and the nearest name to a misspelt one."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Finding", "Path", "format_path", "nearest", "render"]

Path = tuple[str | int, ...]
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong (or, as a warning, doubtful) in a configuration file.

    ``line`` and ``column`` count from 1 and are 0 when the finding is about the file as a whole. ``expected`` says
    again, for programs, what would be right; ``suggestion`` is the nearest valid name or value. Both may be empty.
    """

    file: str
    message: str
    path: str = ""
    line: int = 0
    column: int = 0
    expected: str = ""
    suggestion: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [place, *(["warning"] if self.severity == "warning" else []), *([self.path] if self.path else [])]
        text = f'{self.message}; did you mean "{self.suggestion}"?' if self.suggestion else self.message
        # Names come from the file: what would move the cursor of a terminal is shown, not sent.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in ": ".join([*parts, text]))


def format_path(path: Path) -> str:
    """``routes[3].headers."X Y"`` for the path of a field."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            text += f".{name}" if text else name
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` is probably a misspelling of, or nothing; a number is not misspelt, it is wrong."""
    if not any(c.isalpha() for c in name):
        return ""
    close = difflib.get_close_matches(name.lower()[:64], {k.lower(): k for k in known}, n=1, cutoff=0.6)
    return next((k for k in known if k.lower() == close[0]), "") if close else ""


def render(findings: Sequence[Finding], *, as_json: bool = False) -> str:
    """All findings, by line: for people one a line and a count, or as a JSON list."""
    if as_json:
        return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    counts = [f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return "\n".join([*map(str, findings), *([", ".join(counts)] if counts else [])])
