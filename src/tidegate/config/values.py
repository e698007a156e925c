"""How durations, sizes and addresses are written, read and shown.

One grammar for the configuration file, filter options and the command line. Numbers carry their unit (``"250ms"``,
``"64KiB"``): a bare number would leave the reader guessing between seconds and milliseconds, and is refused.
"""

import ipaddress
import re
from dataclasses import dataclass

__all__ = [
    "Address",
    "format_duration",
    "format_size",
    "parse_address",
    "parse_duration",
    "parse_rate",
    "parse_size",
]

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(us|ms|s|m|h|d)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(B|KiB|MiB|GiB|TiB|KB|MB|GB)")
_PERIODS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"([0-9]{1,12})/(s|min|h|d)")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LONGEST_UNIX_PATH = 107  # sun_path holds 108 bytes, the last one zero


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect: ``host`` and ``port``, or the ``path`` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_unix(self) -> bool:
        """Whether this is the path of a Unix socket."""
        return bool(self.path)

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address, or None when it is a name or a path."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``"250ms"``, ``"1.5s"`` or ``"1h30m"``; ValueError when it is none."""
    seconds, end = 0.0, 0
    while (part := _DURATION.match(text, end)) is not None:
        seconds += float(part[1]) * _SECONDS[part[2]]
        end = part.end()
    if end == 0 or end != len(text):
        raise ValueError('a duration is a number with its unit (us, ms, s, m, h, d), such as "250ms", "5s" or "1h30m"')
    return round(seconds, 9)


def parse_size(text: str) -> int:
    """Bytes in a size such as ``"64KiB"`` or ``"1.5GiB"``; ValueError when it is none."""
    part = _SIZE.fullmatch(text)
    if part is None:
        raise ValueError('a size is a number with its unit (B, KiB, MiB, GiB, TiB, KB, MB, GB), such as "64KiB"')
    return round(float(part[1]) * _BYTES[part[2]])


def parse_rate(text: str) -> tuple[int, int]:
    """Requests and seconds of a rate such as ``"200/s"`` or ``"5/min"``; ValueError when it is none."""
    part = _RATE.fullmatch(text)
    if part is None:
        raise ValueError('a rate is a whole number a second, minute, hour or day, such as "200/s", "5/min" or "1000/d"')
    return int(part[1]), _PERIODS[part[2]]


def format_duration(seconds: float) -> str:
    """The shortest spelling of ``seconds`` that :func:`parse_duration` reads back."""
    for unit in ("d", "h", "m", "s", "ms"):
        count = seconds / _SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    if seconds >= 1:
        return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
    return f"{seconds * 1e6:.3f}".rstrip("0").rstrip(".") + "us" if seconds else "0s"


def format_size(size: int) -> str:
    """The shortest spelling of ``size`` bytes that :func:`parse_size` reads back."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def parse_address(text: str) -> Address:
    """The address written as ``host:port``, ``[v6]:port`` or ``unix:/path``; ValueError when it is none."""
    if text.startswith("unix:"):
        return _unix_address(text[5:])
    scheme, has_scheme, rest = text.partition("://")
    host, has_path, _ = (rest if has_scheme else text).partition("/")
    if has_scheme or has_path:
        port = "" if re.search(r":[0-9]+$", host) else ":443" if scheme == "https" else ":80"
        tls = " TLS is switched on by the table `tls`." if scheme == "https" else ""
        raise ValueError(f'an address has neither scheme nor path; did you mean "{host}{port}"?{tls}')
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError('an address is "host:port", "[v6]:port" or "unix:/path", with a port from 1 to 65535')
    if host == "":
        raise ValueError(
            f'an address names its host: "0.0.0.0:{port}" is every IPv4 address, "[::]:{port}" every IPv6 one'
        )
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address(host=str(ipaddress.IPv6Address(host[1:-1])), port=int(port))
        except ValueError:
            raise ValueError(f"{host} is not an IPv6 address") from None
    if ":" in host:
        raise ValueError(f'an IPv6 address is written in brackets: "[{host}]:{port}"')
    return Address(host=_host(host), port=int(port))


def _unix_address(path: str) -> Address:
    if not path.startswith("/"):
        raise ValueError('a unix address is "unix:" and an absolute path, such as "unix:/run/app.sock"')
    if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_UNIX_PATH or "\0" in path:
        raise ValueError(f"the path of a unix socket has at most {_LONGEST_UNIX_PATH} bytes and none of them is zero")
    return Address(path=path)


def _host(host: str) -> str:
    if host.replace(".", "").isdigit():
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f"{host} is not an IPv4 address") from None
    name = host.removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{host!r} is neither an IP address nor a host name")
    return name.lower()
