"""``[server]``: what concerns the whole machine."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from tidegate.config.kinds import (
    Account,
    Address,
    Cores,
    Directory,
    Doc,
    Duration,
    Network,
    Off,
    Reference,
    Size,
    WrittenFile,
)
from tidegate.config.section import Section

__all__ = ["Server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(Section):
    """The gateway as a whole: processes, bounds on clients, whom it trusts."""

    workers: Annotated[
        Annotated[int, Ge(1), Le(256)] | Literal["auto"],
        Doc('How many worker processes serve; "auto" is one for each core the process may use.'),
    ] = "auto"
    affinity: Annotated[
        Annotated[Literal["auto"] | tuple[tuple[int, ...], ...], Cores()] | None,
        Off(),
        Doc(
            'Which cores each worker runs on: "auto" gives each one core of those the process may use, in turn; or a '
            "list of cores for each worker, such as `[[0], [1, 2]]`."
        ),
    ] = None
    spare_worker: Annotated[
        bool,
        Doc(
            "Whether one more worker is kept ready, with everything imported, to take the place of one that dies at "
            "once. It takes some 30 MiB of memory and no time."
        ),
    ] = True
    admin: Annotated[
        str,
        Address(),
        Doc("Where the control process answers `/metrics`, `/health/live`, `/health/ready` and `/status`."),
    ] = "127.0.0.1:9900"
    filter_packages: Annotated[
        tuple[str, ...],
        Doc("Packages that filter classes may come from; `tidegate.filters` always may."),
    ] = ()
    max_connections: Annotated[
        Annotated[int, Ge(1), Le(10_000_000)] | Literal["auto"],
        Doc(
            "Client connections in total, of which each worker may have an equal share. One more is accepted only when "
            'one has ended; until then it waits in the backlog. "auto" is 65,536, or as many as the limit of '
            "descriptors allows beside the pools."
        ),
    ] = "auto"
    max_connections_per_address: Annotated[
        Annotated[int, Ge(1), Le(10_000_000)] | None,
        Off(),
        Doc(
            "Client connections from one address (IPv6: one /64), counted by each worker for itself; one more is "
            "closed at once. Off by default, as a whole office or another proxy may stand behind one address."
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[Annotated[str, Network()], ...],
        Doc("Ranges whose `X-Forwarded-*` and `Forwarded` fields are believed; from anybody else they are removed."),
    ] = ()
    limits_memory: Annotated[
        int,
        Size(smallest=1 << 20, largest=1 << 40),
        Doc(
            "Room for what limits remember, in memory that all workers share. It is taken page by page as it fills; "
            "`tidegate check` says when the limits of a file need more."
        ),
    ] = 256 << 20
    drain_timeout: Annotated[
        float, Duration(), Doc("How long a stopping worker lets exchanges finish before it closes what is left.")
    ] = 30.0
    watch: Annotated[
        bool,
        Doc("Whether the file is read again when it changes (looked at once a second), as `tidegate reload` does."),
    ] = False
    state_dir: Annotated[
        str | None,
        Directory(),
        Doc(
            "Where the last good configuration and the history are kept; the gateway's own, 0700. Absent: a directory "
            "for this file in `$TIDEGATE_STATE_DIR`, `$STATE_DIRECTORY`, `/var/lib/tidegate` (root) or "
            "`~/.local/state/tidegate`."
        ),
    ] = None
    pid_file: Annotated[
        str | None,
        WrittenFile(),
        Doc("A file for the supervisor's pid, there from when the sockets are bound until the end. Absent: none."),
    ] = None
    user: Annotated[
        str | None,
        Account(),
        Doc(
            "Whom every process of a gateway that root starts becomes once all sockets are bound; by name or number. "
            "Absent: nobody else."
        ),
    ] = None
    group: Annotated[
        str | None,
        Account(),
        Doc("The group of `user`, beside the others that it is in. Absent: its own."),
    ] = None
    admin_token: Annotated[
        str | None,
        Reference(),
        Doc(
            "Who sends it as `Authorization: Bearer …` to `server.admin` may change the configuration and stop the "
            "gateway. Absent: that goes through the unix socket only."
        ),
    ] = None
    stall_notice: Annotated[
        float,
        Duration(shortest=0.02, longest=60.0),
        Doc("How long one callback may hold a worker's loop before the error log says whose code it is, and where."),
    ] = 0.1
    stall_out: Annotated[
        float,
        Duration(shortest=0.1, longest=3600.0),
        Doc("A worker whose loop is held for longer gets no new connections, as long as another gets on."),
    ] = 1.0
    stall_kill: Annotated[
        Annotated[float, Duration(shortest=0.5)] | None,
        Off(),
        Doc("A worker whose loop is held for longer is killed and replaced; what waits in its socket is served then."),
    ] = 30.0
    upgrade_timeout: Annotated[
        float,
        Duration(),
        Doc("How long an upgrade may take until the new program is ready; then it is stopped and the old one goes on."),
    ] = 60.0
    upgrade_drain_timeout: Annotated[
        float | None,
        Duration(),
        Off(),
        Doc(
            "How long workers of the old program may go on with what they have after an upgrade (WebSockets, say); "
            "off: as long as `drain_timeout`. The next upgrade waits for their end."
        ),
    ] = None
    development: Annotated[
        bool,
        Doc(
            "Names calls that block when a filter makes them on the loop (sleeps, look-ups of names, sockets, SQLite, "
            "subprocesses), and whatever holds the loop for 30 ms. It costs speed; `tidegate run --dev` does the same."
        ),
    ] = False
