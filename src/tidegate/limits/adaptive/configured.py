"""From ``[limits.NAME] adaptive`` to a controller that has learned nothing yet."""

from __future__ import annotations

from typing import Any

from tidegate.config.adaptive import Adaptive
from tidegate.limits.adaptive.catalogue import make
from tidegate.limits.adaptive.controller import Controller
from tidegate.limits.adaptive.windowed import Windowed

__all__ = ["configured"]

SECOND_NS = 1_000_000_000


def configured(settings: Adaptive) -> Controller:
    """A controller with the algorithm, the options and the bounds of ``settings``."""
    said: dict[str, Any] = {
        "initial": settings.initial,
        "target_min_ns": _ns(settings.target),
        "target_share": settings.target_share,
        "window_ns": _ns(settings.window),
        "smoothing": settings.smoothing,
        "tolerance": settings.tolerance,
        "backoff": settings.backoff,
        "timeout_ns": _ns(settings.slow),
    }
    algorithm = make(settings.algorithm, **{name: value for name, value in said.items() if value is not None})
    if settings.windowed is not None:
        window = settings.windowed
        algorithm = Windowed(
            algorithm,
            samples=window.samples,
            shortest_ns=round(window.shortest * SECOND_NS),
            longest_ns=round(window.longest * SECOND_NS),
            percentile=window.percentile,
        )
    return Controller(
        algorithm,
        floor=settings.floor,
        ceiling=settings.ceiling,
        interval_ns=round(settings.interval * SECOND_NS),
        shortest_ns=min(100_000_000, round(settings.interval * SECOND_NS)),
        samples=settings.samples,
        samples_min=settings.samples_min,
        suggest=settings.suggest,
    )


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND_NS)
