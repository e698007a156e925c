"""Stacks in the file format of speedscope (https://www.speedscope.app/file-format-schema.json)."""

from __future__ import annotations

from typing import Any, Final

from tidegate import __version__
from tidegate.profile.stacks import Stacks, Unit

__all__ = ["speedscope"]

_UNITS: Final[dict[Unit, str]] = {"samples": "none", "seconds": "seconds", "bytes": "bytes"}


def speedscope(stacks: Stacks, title: str) -> dict[str, Any]:
    """The document, to be written as JSON."""
    numbers: dict[str, int] = {}
    samples = [[numbers.setdefault(call, len(numbers)) for call in stack] for stack in stacks.weights]
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": title,
        "exporter": f"tidegate {__version__}",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": call} for call in numbers]},
        "profiles": [
            {
                "type": "sampled",
                "name": title,
                "unit": _UNITS[stacks.unit],
                "startValue": 0,
                "endValue": stacks.total,
                "samples": samples,
                "weights": list(stacks.weights.values()),
            }
        ],
    }
