"""Addresses to listen on: each once, and none that leads a request back into the gateway."""

import grp
import ipaddress
import pwd
import stat
from pathlib import Path as FilePath

from tidegate.config.findings import Path
from tidegate.config.rules.subject import Subject
from tidegate.config.values import Address, parse_address

__all__ = ["check_sockets"]

_ANY = {"0.0.0.0", "::"}


def check_sockets(subject: Subject) -> None:
    """Listeners and the admin address can be bound beside each other; upstreams are elsewhere."""
    gateway = subject.gateway
    if not (subject.source.tree or {}).get("listeners"):
        subject.find(("listeners",), 'there is no listener; write [[listeners]] with bind = "0.0.0.0:8080"')
    bound: list[tuple[Path, Address]] = [(("server", "admin"), parse_address(gateway.server.admin))]
    bound += [(("listeners", i, "bind"), parse_address(one.bind)) for i, one in enumerate(gateway.listeners)]
    for index, (path, address) in enumerate(bound):
        if address.is_unix:
            _check_unix(subject, path, FilePath(address.path))
        elif address.ip is None:
            _check_name(subject, path, address)
        for before, other in bound[:index]:
            if _overlap(address, other):
                what = "the admin address" if before[0] == "server" else "a listener"
                where = f" in line {subject.line(before)}" if subject.says(before) else ""
                subject.find(path, f"{address} is taken already by {what}{where} ({other})")
                break
    for index, listener in enumerate(gateway.listeners):
        _check_owner(subject, ("listeners", index), listener.owner, is_unix=parse_address(listener.bind).is_unix)
    _check_loops(subject, bound)


def _overlap(one: Address, other: Address) -> bool:
    if one.is_unix or other.is_unix:
        return one.path == other.path
    if one.port != other.port:
        return False
    first, second = _literal(one), _literal(other)
    if first == second:
        return True
    same_family = (":" in first) == (":" in second)  # [::] is bound for IPv6 alone, so it goes beside 0.0.0.0
    return same_family and bool({first, second} & _ANY)


def _literal(address: Address) -> str:
    return "127.0.0.1" if address.host == "localhost" else address.host


def _check_name(subject: Subject, path: Path, address: Address) -> None:
    if address.host == "localhost":
        return
    subject.find(path, f'{address.host} is a name; a socket is bound to an address, such as "127.0.0.1:{address.port}"')


def _check_unix(subject: Subject, path: Path, name: FilePath) -> None:
    try:
        if not name.parent.is_dir():
            subject.find(path, f"there is no directory {name.parent}")
        elif name.exists() and not stat.S_ISSOCK(name.stat().st_mode):
            subject.find(path, f"{name} exists and is not a socket")
    except OSError as error:
        subject.find(path, f"{name} cannot be bound: {error.strerror}")


def _check_owner(subject: Subject, path: Path, owner: str | None, *, is_unix: bool) -> None:
    if not is_unix:
        for name in ("mode", "owner"):
            if subject.says((*path, name)):
                subject.warn((*path, name), "has no effect; only unix sockets have it")
        return
    if owner is None:
        return
    user, _, group = owner.partition(":")
    try:
        if user:
            pwd.getpwnam(user)
        if group:
            grp.getgrnam(group)
    except (KeyError, ValueError) as error:
        what = "group" if "getgrnam" in str(error) else "user"
        subject.find((*path, "owner"), f"there is no {what} {group if what == 'group' else user!r} on this machine")


def _check_loops(subject: Subject, bound: list[tuple[Path, Address]]) -> None:
    for name, upstream in subject.gateway.upstreams.items():
        for index, endpoint in enumerate(upstream.endpoints):
            address = parse_address(endpoint.address)
            hit = next((path for path, own in bound if _reaches(address, own)), None)
            if hit is None:
                continue
            path: Path = ("upstreams", name, "endpoints", index)
            if hit[0] == "server":
                subject.find(path, f"{address} is the gateway's own admin address, which it never proxies to")
            else:
                subject.warn(path, f"{address} is the gateway's own listener: requests may go round in circles")


def _reaches(address: Address, own: Address) -> bool:
    """Whether connecting to ``address`` surely ends at ``own``."""
    if address.is_unix or own.is_unix:
        return address.path == own.path
    if address.port != own.port:
        return False
    first, second = _literal(address), _literal(own)
    if first == second or first in _ANY:
        return True
    try:
        return second in _ANY and ipaddress.ip_address(first).is_loopback
    except ValueError:
        return False
