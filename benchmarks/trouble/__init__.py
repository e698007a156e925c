"""Figures of a gateway in trouble: ``python -m benchmarks NAME``.

Each starts what it needs, prints what it saw with the goal beside it, ends what it started, and returns 1 when a goal
was missed.
"""

from collections.abc import Callable, Sequence

from benchmarks.trouble import (
    adaptive,
    ghosts,
    health,
    killed,
    lifecycle,
    overload,
    profile,
    recorder,
    reloads,
    stalls,
    stopped,
    store,
)

__all__ = ["KNOWN"]

KNOWN: dict[str, Callable[[Sequence[str]], int]] = {
    "adaptive": adaptive.main,
    "ghosts": ghosts.main,
    "health-busy": health.main,
    "killed-workers": killed.main,
    "lifecycle": lifecycle.main,
    "profile-cost": profile.main,
    "recorder-cost": recorder.main,
    "reloads": reloads.main,
    "restart-overload": overload.main,
    "stalls": stalls.main,
    "stopped-workers": stopped.main,
    "store-trouble": store.main,
}
