"""Options of adaptive limits that contradict each other, have no effect, or cannot be meant."""

from tidegate.config.adaptive import OPTIONS
from tidegate.config.findings import Path
from tidegate.config.limits import Limit
from tidegate.config.rules.subject import Subject

__all__ = ["check_adaptive"]

LONGEST_TARGET_S = 10.0
"""Who lets requests wait for longer behind an upstream wants a queue, which the gateway keeps better."""
BY_WAITING = OPTIONS["target_share"]


def check_adaptive(subject: Subject, path: Path, limit: Limit) -> None:
    """What is said of ``adaptive`` in the limit at ``path`` fits together."""
    adaptive = limit.adaptive
    if adaptive is None:
        return
    here: Path = (*path, "adaptive")
    if adaptive.floor > adaptive.ceiling:
        subject.find((*here, "floor"), f"of {adaptive.floor} is over the ceiling of {adaptive.ceiling}")
    elif adaptive.initial is not None and not adaptive.floor <= adaptive.initial <= adaptive.ceiling:
        subject.find((*here, "initial"), f"of {adaptive.initial} is not within {adaptive.floor} and {adaptive.ceiling}")
    for option, algorithms in OPTIONS.items():
        if subject.says((*here, option)) and adaptive.algorithm not in algorithms:
            subject.find((*here, option), f"has no effect: it is for {' and '.join(algorithms)}")
    if adaptive.waiting_field is not None and adaptive.algorithm not in BY_WAITING:
        subject.find((*here, "waiting_field"), f"has no effect: waiting is looked at by {' and '.join(BY_WAITING)}")
    if adaptive.samples < adaptive.samples_min:
        subject.find(
            (*here, "samples"), f"of {adaptive.samples} end no interval: it has {adaptive.samples_min} at least"
        )
    if adaptive.target is not None and adaptive.target > LONGEST_TARGET_S:
        subject.find(
            (*here, "target"),
            f"of {adaptive.target:g} s lets requests wait behind the upstream; `queue` lets them wait in front of it",
        )
    if adaptive.window is not None and adaptive.window < 2 * adaptive.interval:
        subject.find((*here, "window"), f"of {adaptive.window:g} s holds no two intervals of {adaptive.interval:g} s")
    windowed = adaptive.windowed
    if windowed is not None and windowed.shortest > windowed.longest:
        subject.find(
            (*here, "windowed", "shortest"), f"of {windowed.shortest:g} s is longer than {windowed.longest:g} s"
        )
    if subject.says((*here, "keys")) and not limit.key:
        subject.find((*here, "keys"), "has no effect without `key`")
    for option in ("tiers", "overrides"):
        if getattr(limit, option):
            subject.find((*path, option), "have no effect: what is allowed is learned, for each key alike")
