"""The listening sockets: one per listener and worker slot, made once and inherited by whoever serves that slot.

Rules:
- The supervisor makes them, and neither closes nor re-binds one while it runs. A worker that dies leaves its queue
  behind in them, and its successor serves it.
- A group is all slots' sockets of one TCP address (SO_REUSEPORT); `steering` picks among the live slots.
- With SO_REUSEPORT a second gateway would bind silently and take half the traffic. So a probe without it goes first.
- A unix path has no groups: one socket, which all slots share. A stale socket file is removed only when nobody answers.
"""

import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tidegate.process.failure import StartError
from tidegate.process.handover import GroupState
from tidegate.process.steering import admit_nobody, steer

__all__ = ["ListenerGroup", "ListenerSettings", "open_listeners"]

_TCP_INFO_UNACKED = 24  # offset in struct tcp_info; for a listening socket: connections that wait to be accepted


class ListenerSettings(Protocol):
    """What is asked of a listener; `tidegate.config.listeners.Listener` has it."""

    @property
    def bind(self) -> str: ...
    @property
    def backlog(self) -> int: ...
    @property
    def mode(self) -> int: ...
    @property
    def owner(self) -> str | None: ...


class ListenerGroup:
    """The sockets of one listener, by slot."""

    def __init__(self, address: str, sockets: list[socket.socket], slots: int, path: Path | None = None) -> None:
        self.address = address
        self._sockets = sockets
        self._slots = slots
        self._path = path
        self._inode = None if path is None else _inode(path)

    @classmethod
    def open(cls, settings: ListenerSettings, slots: int, *, is_exclusive: bool = False) -> "ListenerGroup":
        """Binds ``slots`` sockets to the listener's address.

        Args:
            settings: where to listen, and how.
            slots: sockets to make, one for each worker slot.
            is_exclusive: one socket that no other may ever join, as control has.

        Raises:
            StartError: the address is in use, not ours or not allowed.
        """
        try:
            if settings.bind.startswith("unix:"):
                return cls._open_unix(settings, slots)
            return cls._open_tcp(settings, slots, is_exclusive)
        except OSError as error:
            raise StartError(f"cannot listen on {settings.bind}: {_reason(settings.bind, error)}") from error

    @classmethod
    def _open_tcp(cls, settings: ListenerSettings, slots: int, is_exclusive: bool) -> "ListenerGroup":
        family, where = _resolve(settings.bind)
        if where[1] != 0:
            with _tcp_socket(family) as probe:
                probe.bind(where)
        sockets: list[socket.socket] = []
        try:
            for _ in range(slots):
                one = _tcp_socket(family)
                sockets.append(one)
                if not is_exclusive:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                one.bind(where)
                where = one.getsockname()  # port 0 is chosen for the first one and shared by the others
                # Steering counts in the order of listening: slot 0 first.
                one.listen(settings.backlog)
                one.setblocking(False)
        except OSError:
            for one in sockets:
                one.close()
            raise
        host = f"[{where[0]}]" if family == socket.AF_INET6 else where[0]
        return cls(f"{host}:{where[1]}", sockets, slots)

    @classmethod
    def _open_unix(cls, settings: ListenerSettings, slots: int) -> "ListenerGroup":
        path = Path(settings.bind.removeprefix("unix:"))
        _remove_stale(path)
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        is_ours = False
        try:
            # Made with its mode: the directory may be another user's, and a link be there when the mode is set by name.
            # Until it is `listen`ed to nobody can connect, so the owner is never another one than asked for.
            umask = os.umask(0o777 & ~settings.mode)
            try:
                one.bind(str(path))
                is_ours = True
            finally:
                os.umask(umask)
            if settings.owner is not None:
                _give_to(path, settings.owner)
            one.listen(settings.backlog)
            one.setblocking(False)
        except OSError:
            one.close()
            if is_ours:
                path.unlink(missing_ok=True)
            raise
        return cls(settings.bind, [one], slots, path)

    @classmethod
    def adopt(cls, state: GroupState) -> "ListenerGroup":
        """The group that the program which this process ran before has left behind."""
        sockets = [socket.socket(fileno=fd) for fd in state.fds]
        return cls(state.address, sockets, state.slots, Path(state.path) if state.path else None)

    def state(self) -> GroupState:
        """What `adopt` needs."""
        fds = [one.fileno() for one in self._sockets]
        return GroupState(self.address, fds, self._slots, "" if self._path is None else str(self._path))

    def __repr__(self) -> str:
        waiting = "+".join(str(self.queued(slot)) for slot in range(len(self._sockets)))
        return f"<ListenerGroup {self.address} slots={self._slots} waiting={waiting}>"

    @property
    def is_unix(self) -> bool:
        """Whether all slots share one socket."""
        return self._path is not None

    def fd(self, slot: int) -> int:
        """The descriptor a worker in ``slot`` inherits."""
        return self._sockets[0 if self.is_unix else slot].fileno()

    def queued(self, slot: int) -> int:
        """How many connections wait in the slot's socket to be accepted; 0 where the kernel does not say (unix)."""
        if self.is_unix:
            return 0
        told = self._sockets[slot].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        return int(struct.unpack_from("=I", told, _TCP_INFO_UNACKED)[0])

    def steer(self, live_slots: Sequence[int]) -> None:
        """Sends new connections to ``live_slots`` only; with none live they wait for whoever comes back.

        Raises:
            OSError: the kernel takes no program; its own hash over all slots goes on.
        """
        if self.is_unix or self._slots == 1:
            return
        steer(self._sockets[0], live_slots or range(self._slots))

    def admit_nobody(self) -> None:
        """Lets nobody new in, while what waits is still accepted: the last thing before `close`."""
        if not self.is_unix:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    admit_nobody(one)

    def close(self) -> None:
        """Closes the supervisor's descriptors, and removes the file of a unix socket that is still ours."""
        if self._path is not None and self._inode is not None and _inode(self._path) == self._inode:
            with contextlib.suppress(
                OSError
            ):  # the directory may be root's, who we are no more: the next start removes it
                self._path.unlink()
        self._path = None
        for one in self._sockets:
            one.close()
        self._sockets.clear()


def open_listeners(listeners: Sequence[ListenerSettings], slots: int) -> list[ListenerGroup]:
    """The groups of all listeners, or none: what was opened before a failure is closed again."""
    groups: list[ListenerGroup] = []
    try:
        for settings in listeners:
            groups.append(ListenerGroup.open(settings, slots))  # noqa: PERF401 - those opened so far are closed below
    except StartError:
        for group in groups:
            group.close()
        raise
    return groups


def _tcp_socket(family: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    # Connections of a predecessor in TIME_WAIT are no reason to refuse.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # "[::]" is every IPv6 address and nothing else, whatever the machine's default is: a client has one spelling.
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return one


def _resolve(bind: str) -> tuple[int, tuple[str, int]]:
    host, _, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, where = found[0]
    return family, where  # type: ignore[return-value] # (host, port), and for IPv6 two numbers more


def _remove_stale(path: Path) -> None:
    """Removes a socket file that nobody listens on any more; OSError when somebody does, or when it is no socket."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(errno.EEXIST, "a file that is not a socket is in the way")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: somebody is there, and busy
    raise OSError(errno.EADDRINUSE, "in use")


def _give_to(path: Path, owner: str) -> None:
    user, _, group = owner.partition(":")
    try:
        uid = pwd.getpwnam(user).pw_uid if user else -1
        gid = grp.getgrnam(group).gr_gid if group else -1
    except KeyError as error:
        raise OSError(errno.EINVAL, f"owner {owner!r} does not exist on this machine") from error
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise FileExistsError(errno.EEXIST, "somebody has put another file in its place")
        os.chown(f"/proc/self/fd/{fd}", uid, gid)  # this very inode; `fchown` takes no O_PATH descriptor
    finally:
        os.close(fd)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, PermissionError):
        return None
    return found.st_dev, found.st_ino


def _reason(bind: str, error: OSError) -> str:
    """What went wrong, in words that say what to do about it."""
    if isinstance(error, socket.gaierror):
        return "the name has no address (name it as an IP address, or check the resolver)"
    match error.errno:
        case errno.EADDRINUSE:
            return "another program listens there already (stop it, or choose another address)"
        case errno.EACCES | errno.EPERM if not bind.startswith("unix:"):
            return "no permission (ports below 1024 need root or the capability CAP_NET_BIND_SERVICE)"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address"
    return error.strerror or str(error)
