"""Classes of traffic: names that mean one class each, and shares that somebody can have."""

from itertools import pairwise

from tidegate.config.classes import CLASSES_MAX
from tidegate.config.findings import Path
from tidegate.config.limits import Limit
from tidegate.config.rules.fields import check_said
from tidegate.config.rules.subject import Subject

__all__ = ["check_classes"]

_CLASSES: Path = ("classes",)


def check_classes(subject: Subject) -> None:
    """What is said of classes is said of those that there are, and can be kept."""
    _check_names(subject)
    for index, route in enumerate(subject.gateway.routes):
        if route.traffic_class is not None:
            _check_known(subject, ("routes", index, "traffic_class"), route.traffic_class)
    for name, limit in subject.gateway.limits.items():
        if limit.shares and limit.kind == "concurrency":
            _check_shares(subject, ("limits", name), limit)


def _check_known(subject: Subject, path: Path, name: str) -> None:
    names = subject.gateway.classes.names
    if name not in names and (*_CLASSES, "names") not in subject.shaped.lost:
        subject.unknown(path, "class", name, names)


def _check_names(subject: Subject) -> None:
    classes = subject.gateway.classes
    place: Path = (*_CLASSES, "names")
    if not classes.names:
        for option in ("default", "priorities", "header", "header_raises"):
            if subject.says((*_CLASSES, option)) and not subject.says(place):
                subject.find((*_CLASSES, option), "has no effect without `names`")
                return
    if len(classes.names) > CLASSES_MAX:
        subject.find(place, f"has {len(classes.names)} classes; at most {CLASSES_MAX} are told apart")
    for index, name in enumerate(classes.names):
        check_said(subject, (*place, index), name)
        if name in classes.names[:index]:
            subject.find((*place, index), f'"{name}" is there twice')
    if classes.default is not None:
        _check_known(subject, (*_CLASSES, "default"), classes.default)
    for name in classes.priorities:
        _check_known(subject, (*_CLASSES, "priorities", name), name)
    said = [classes.priorities[name] for name in classes.names if name in classes.priorities]
    if any(one <= other for one, other in pairwise(said)):
        subject.find((*_CLASSES, "priorities"), "have to fall from the most important class to the least")
    if classes.header_raises and classes.header is None and not subject.says((*_CLASSES, "header")):
        subject.find((*_CLASSES, "header_raises"), "has no effect without `header`")


def _check_shares(subject: Subject, path: Path, limit: Limit) -> None:
    place: Path = (*path, "shares")
    for name in limit.shares:
        _check_known(subject, (*place, name), name)
    if sum(limit.shares.values()) > 1 + 1e-9:
        subject.find(place, f"are {sum(limit.shares.values()):g} together, and there is 1")
    if not limit.queue:
        subject.find(place, "need `queue`: what is lent comes back to who waits for it")
    for name, share in limit.shares.items():
        if 0 < share * (limit.concurrency or 0) < 1 - 1e-6:
            subject.find((*place, name), f"of {limit.concurrency} permits is less than one")
