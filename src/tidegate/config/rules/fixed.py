"""What a running gateway cannot change: it sizes shared memory, or was given to the kernel when the gateway started.

A reload that would change one of these is refused whole, so that what is active is always all of one file.
"""

from collections.abc import Callable
from typing import Any

from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import Gateway
from tidegate.config.section import Section

__all__ = ["LISTENER_FIXED", "fixed_since", "not_by_the_api"]

_FIXED: tuple[Path, ...] = (
    ("server", "workers"),
    ("server", "affinity"),
    ("server", "spare_worker"),
    ("server", "admin"),
    ("server", "state_dir"),
    ("server", "pid_file"),
    ("server", "user"),
    ("server", "group"),
    ("server", "limits_memory"),
    ("access_log", "path"),
    ("access_log", "buffer"),
    ("access_log", "flush"),
    ("error_log", "path"),
    ("error_log", "level"),
    ("metrics", "series"),
    ("recorder", "directory"),
    ("recorder", "files"),
    ("recorder", "saturation"),
)
LISTENER_FIXED = ("backlog", "mode", "owner")
"""Options of a listener that are given to the kernel when its socket is made."""

_TAKES = "takes a restart"


def fixed_since(active: Gateway) -> Callable[[Subject], None]:
    """The rule that nothing differs from ``active`` which only a restart can change."""

    def check(subject: Subject) -> None:
        for path in _FIXED:
            before, now = _at(active, path), _at(subject.gateway, path)
            if before != now:
                subject.find(path, _was(before))
        there = {one.bind: one for one in active.listeners}
        for index, now in enumerate(subject.gateway.listeners):
            was = there.pop(now.bind, None)
            if was is None:
                subject.find(("listeners", index, "bind"), f"adding a listener {_TAKES}")
                continue
            for option in LISTENER_FIXED:
                if getattr(was, option) != getattr(now, option):
                    subject.find(("listeners", index, option), _was(getattr(was, option)))
            if (was.tls is None) != (now.tls is None):
                subject.find(("listeners", index), f"switching TLS {'off' if now.tls is None else 'on'} {_TAKES}")
        for bind in there:
            subject.find(("listeners",), f"removing the listener {bind} {_TAKES}")

    return check


def not_by_the_api(active: Gateway) -> Callable[[Subject], None]:
    """The rule that who changes the configuration through the API has no say in what code may be loaded."""

    def check(subject: Subject) -> None:
        if set(subject.gateway.server.filter_packages) != set(active.server.filter_packages):
            subject.find(
                ("server", "filter_packages"),
                "cannot be changed through the API: it says whose code runs; change the file and reload it",
            )

    return check


def _at(section: Section, path: Path) -> Any:
    value: Any = section
    for part in path:
        value = getattr(value, str(part))
    return value


def _was(value: Any) -> str:
    told = "not set" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
    return f"changing this {_TAKES}; it is {told} now"
