"""What the kernel counts about this machine's network and about our processes, read from /proc and sysfs.

Rules:
- Nothing here waits: these files are made by the kernel when they are read. None of them lists sockets one by one
  (/proc/net/tcp of a gateway with 100,000 clients takes a second), so what would need that is an estimate and says so.
- What cannot be read, or is not known to the kernel (the speed of a virtual link), is None, never 0.
- Everything is of the network namespace of who reads; in a container that is the container.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

__all__ = ["Kernel", "KernelFigures", "LinkFigures"]

_SPEED_IS_GOOD_FOR_S = 10.0
_MBIT_BYTES = 125_000


class LinkFigures(msgspec.Struct, frozen=True):
    """One network interface; the counters only grow."""

    name: str
    received_bytes: int
    sent_bytes: int
    speed_bytes_per_s: int | None
    """Of each direction; None where the driver does not say."""


class KernelFigures(msgspec.Struct, frozen=True):
    """The kernel's counters and gauges at one moment."""

    at_ns: int
    sockets_in_use: int | None
    """TCP sockets of both families, listening ones included."""
    time_wait: int | None
    listen_overflows_total: int | None
    """Connections that met a full accept queue, of every program on this machine."""
    listen_drops_total: int | None
    retransmitted_segments_total: int | None
    sent_segments_total: int | None
    first_port: int | None
    last_port: int | None
    """The range that local ports of outgoing connections are chosen from."""
    descriptors_open: int | None
    """In the whole machine."""
    descriptors_max: int | None
    links: tuple[LinkFigures, ...]

    @property
    def ports(self) -> int | None:
        """How many local ports there are for outgoing connections to one destination."""
        return None if self.first_port is None or self.last_port is None else self.last_port - self.first_port + 1


class Kernel:
    """Reads the figures.

    Args:
        proc: Where procfs is.
        sys: Where sysfs is.
        clock_ns: CLOCK_MONOTONIC.
    """

    def __init__(
        self, *, proc: str = "/proc", sys: str = "/sys", clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._proc = Path(proc)
        self._net = Path(sys) / "class/net"
        self._clock_ns = clock_ns
        self._speeds: dict[str, tuple[int | None, float]] = {}

    def __repr__(self) -> str:
        return f"<Kernel {self._proc} {self._net}>"

    def read(self) -> KernelFigures:
        """Everything, as it is now."""
        at_ns = self._clock_ns()
        sockets = dict(self._socket_lines())
        counters = {**self._paired("net/snmp"), **self._paired("net/netstat")}
        first_port, last_port = _pair(self._text("sys/net/ipv4/ip_local_port_range"))
        files = self._text("sys/fs/file-nr").split()
        in_use = [sockets[name]["inuse"] for name in ("TCP", "TCP6") if "inuse" in sockets.get(name, {})]
        return KernelFigures(
            at_ns=at_ns,
            sockets_in_use=sum(in_use) if in_use else None,
            time_wait=sockets.get("TCP", {}).get("tw"),
            listen_overflows_total=counters.get("TcpExt.ListenOverflows"),
            listen_drops_total=counters.get("TcpExt.ListenDrops"),
            retransmitted_segments_total=counters.get("Tcp.RetransSegs"),
            sent_segments_total=counters.get("Tcp.OutSegs"),
            first_port=first_port,
            last_port=last_port,
            descriptors_open=_number(files[0]) if len(files) == 3 else None,
            descriptors_max=_number(files[2]) if len(files) == 3 else None,
            links=tuple(self._links(at_ns / 1e9)),
        )

    def backlog_max(self) -> int | None:
        """What a listening socket's backlog is cut to (net.core.somaxconn)."""
        return _number(self._text("sys/net/core/somaxconn"))

    def descriptors_of(self, pid: int) -> int | None:
        """Descriptors that process has open; None before Linux 6.2, which says it as the size of a directory."""
        try:
            return (self._proc / str(pid) / "fd").stat().st_size or None
        except OSError:
            return None

    def _text(self, name: str) -> str:
        try:
            return (self._proc / name).read_text()
        except (OSError, ValueError):
            return ""

    def _socket_lines(self) -> Iterator[tuple[str, dict[str, int]]]:
        """``TCP: inuse 7 orphan 0 tw 3`` → ("TCP", {"inuse": 7, …})."""
        for line in (self._text("net/sockstat") + self._text("net/sockstat6")).splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            values = {key: _number(value) for key, value in zip(words[::2], words[1::2], strict=False)}
            yield name, {key: value for key, value in values.items() if value is not None}

    def _paired(self, name: str) -> dict[str, int]:
        """Two lines, names and values: ``{"TcpExt.ListenDrops": 3, …}``."""
        lines = self._text(name).splitlines()
        found = {}
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            group = names.partition(":")[0]
            for key, value in zip(names.split()[1:], values.split()[1:], strict=False):
                number = _number(value)
                if number is not None:
                    found[f"{group}.{key}"] = number
        return found

    def _links(self, now_s: float) -> Iterator[LinkFigures]:
        """Every interface but loopback, which has no speed and no wire."""
        for line in self._text("net/dev").splitlines()[2:]:
            name, _, rest = line.strip().partition(":")
            fields = [_number(field) for field in rest.split()]
            if name == "lo" or len(fields) < 9 or fields[0] is None or fields[8] is None:
                continue
            yield LinkFigures(name, fields[0], fields[8], self._speed(name, now_s))

    def _speed(self, name: str, now_s: float) -> int | None:
        known = self._speeds.get(name)
        if known is not None and now_s < known[1]:
            return known[0]
        try:
            megabits = _number((self._net / name / "speed").read_text())
        except (OSError, ValueError):
            megabits = None  # EINVAL: it is down, or no driver knows
        speed = megabits * _MBIT_BYTES if megabits is not None and megabits > 0 else None
        self._speeds[name] = (speed, now_s + _SPEED_IS_GOOD_FOR_S)
        return speed


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _pair(text: str) -> tuple[int | None, int | None]:
    words = text.split()
    return (_number(words[0]), _number(words[1])) if len(words) == 2 else (None, None)
