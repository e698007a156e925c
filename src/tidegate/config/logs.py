"""``[access_log]``, ``[error_log]``, ``[metrics]`` and ``[recorder]``: what is written down."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from tidegate.config.kinds import Directory, Doc, Duration, LogFile, Size
from tidegate.config.section import Section

__all__ = ["AccessLog", "ErrorLog", "Metrics", "Recorder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog(Section):
    """One line for each exchange; an upgraded connection has one when it opens and one when it closes."""

    path: Annotated[
        str,
        LogFile(words=("-", "off")),
        Doc(
            'A file, reopened on SIGUSR1; "-" for standard output, "off" for none. '
            "A relative one begins at the directory of the configuration file."
        ),
    ] = "-"
    format: Annotated[
        str,
        MinLen(1),
        Doc(
            '"json" for JSON lines, "combined" for the format that log readers know, or a line with fields in braces, '
            'such as `"{client} {method} {target} {status}"`.'
        ),
    ] = "json"
    fields: Annotated[tuple[str, ...], Doc("Fields of a JSON line, in order; none: the usual ones.")] = ()
    buffer: Annotated[
        int,
        Size(smallest=64 << 10, largest=1 << 30),
        Doc("Lines kept in memory for each worker; what does not fit is lost and counted."),
    ] = 4 << 20
    flush: Annotated[
        float, Duration(longest=60.0), Doc("Longest time a line stays in memory when the disk keeps up.")
    ] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLog(Section):
    """What went wrong, bounded by kind: the first at once, then a line a second with a count."""

    path: Annotated[str, LogFile(), Doc('A file, reopened on SIGUSR1; "-" for standard error.')] = "-"
    level: Annotated[Literal["debug", "info", "warning", "error"], Doc("Least level that is written.")] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Section):
    """Bounds on `/metrics`."""

    series: Annotated[
        int,
        Ge(16),
        Le(1_000_000),
        Doc(
            "Most histograms by route and by upstream; what comes beyond is counted as `other`, and that is said once."
        ),
    ] = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder(Section):
    """The flight recorder, which keeps the last ten minutes and writes them to a file when something goes wrong."""

    directory: Annotated[
        str | None,
        Directory(),
        Doc("Where recordings are written, 0700. Absent: `recordings` in the state directory."),
    ] = None
    files: Annotated[
        int,
        Ge(0),
        Le(1000),
        Doc(
            "How many recordings are kept, 64 MiB of them at most; the oldest is removed. 0: none is written by itself."
        ),
    ] = 20
    saturation: Annotated[
        float,
        Ge(0.1),
        Le(100.0),
        Doc("A recording is written when the gateway's saturation has been as high as this for three seconds."),
    ] = 1.0
