"""What the processes say to each other, and the orders they are started with.

An order is the whole of what a process is told at its start: bytes in a memory file whose descriptor is its only
argument, with the other descriptors it inherits named inside. Messages travel over one socket pair per process; the
supervisor's end closing means that the supervisor is gone.

    supervisor ── Serve, Drain, ReopenLogs ──> worker ── Prepared, Serving, ListeningEnded, Failed ──> supervisor
    supervisor ── Roster, ReopenLogs, Finish ──> control ── Prepared, StopAsked, Failed ──> supervisor

    supervisor ── TakePlace ──> spare, which is a worker from then on

A new snapshot, while all of them run:

    control ── Publish ──> supervisor ── Prepare ──> each worker ── Prepared | Refused ──> supervisor
        supervisor ── Published ──> control, after the switch; or NotPublished ──> control and Forget ──> each worker

A new program, while the old one runs (`upgrade`):

    control ── UpgradeAsked ──> supervisor; candidate (the new program's) ── Checked | Failed ──> supervisor

Orders and messages cross versions of the program in an upgrade: what is added to one has a default, and what is there
keeps its meaning.

A look into a worker, answered past the supervisor (`measurement`):

    control ── MeasureAsked ──> supervisor ── Measure ──> worker

A message with a field ``fd`` carries that descriptor: the channel sends it beside the bytes, and who receives the
message owns a descriptor of its own (-1: there was no room for one in its process).
"""

import fcntl
import os
from typing import TypeVar

import msgspec

from tidegate.process.program import Program

__all__ = [
    "CandidateOrder",
    "Checked",
    "Companion",
    "ControlOrder",
    "Drain",
    "Failed",
    "Finish",
    "Forget",
    "InheritedListener",
    "ListeningEnded",
    "Measure",
    "MeasureAsked",
    "Message",
    "NotPublished",
    "Prepare",
    "Prepared",
    "Publish",
    "Published",
    "Refused",
    "ReloadAsked",
    "ReopenLogs",
    "Roster",
    "Serve",
    "Serving",
    "StopAsked",
    "SupervisorOrder",
    "TakePlace",
    "UpgradeAsked",
    "UpgradeStatus",
    "WorkerOrder",
    "WorkerStatus",
    "memory_file",
    "read_memory_file",
    "read_order",
    "seal",
]


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of everything said over a channel."""


class Prepared(Message, frozen=True):
    """A worker has built the snapshot of that number (0: control, which answers) and could serve with it."""

    snapshot: int = 0


class Serving(Message, frozen=True):
    """A worker that was told to serve accepts."""


class Failed(Message, frozen=True):
    """The sender cannot go on and says why in one line; it exits next."""

    reason: str


class ListeningEnded(Message, frozen=True):
    """A draining worker has accepted what waited and closed its listening sockets."""


class StopAsked(Message, frozen=True):
    """Somebody who may asked control to stop the gateway."""

    at_once: bool = False


class Publish(Message, frozen=True):
    """Control has checked a configuration: the memory file ``fd`` holds the snapshot of that number."""

    number: int
    fd: int = -1


class Published(Message, frozen=True):
    """The snapshot of that number is active on every worker."""

    number: int


class NotPublished(Message, frozen=True):
    """The snapshot of that number is active nowhere and will not be; the one before it stays."""

    number: int
    reasons: list[str]


class Prepare(Message, frozen=True):
    """Build the snapshot in the memory file ``fd`` beside the active one, change nothing visible, and report."""

    number: int
    fd: int = -1


class Refused(Message, frozen=True):
    """A worker cannot build the snapshot of that number; it goes on with the one it has."""

    snapshot: int
    reason: str


class Forget(Message, frozen=True):
    """The snapshot of that number will not become active: drop what was built of it."""

    number: int


class ReloadAsked(Message, frozen=True):
    """The supervisor was asked by a signal to have the configuration read again."""


class UpgradeAsked(Message, frozen=True):
    """Somebody who may asked control to let another program take over; ``attempt`` is their name for it."""

    attempt: str
    program: Program


class MeasureAsked(Message, frozen=True):
    """Somebody wants to look into a worker (``kind`` says for what); ``fd`` is where the answer goes."""

    kind: str
    worker: int = 0
    seconds: float = 0.0
    fd: int = -1


class Measure(Message, frozen=True):
    """To a worker: the same."""

    kind: str
    seconds: float = 0.0
    fd: int = -1


class Checked(Message, frozen=True):
    """A candidate can take over; ``fd`` is the configuration as that program reads it."""

    version: str
    fd: int = -1


class Serve(Message, frozen=True):
    """Begin to accept, or to answer."""


class TakePlace(Message, frozen=True):
    """To a spare worker: be the one of that slot, with those of the sockets you hold and the snapshot in ``fd``."""

    slot: int
    listeners: list["InheritedListener"]
    fd: int = -1


class Drain(Message, frozen=True):
    """Accept what waits, then nobody new; finish what runs within ``timeout_s``."""

    timeout_s: float


class WorkerStatus(msgspec.Struct, frozen=True):
    """What the supervisor knows of a worker slot and shared memory does not say."""

    slot: int
    restarts: int = 0
    last_death: str = ""
    stalled_in: str = ""  # where its loop is held now, ``FILE:LINE`` if that is known
    drains_until_s: float | None = None  # on CLOCK_MONOTONIC; of a generation that was followed by another


class UpgradeStatus(msgspec.Struct, frozen=True):
    """How an attempt to upgrade stands: ``phase`` ends with "done" or "failed"."""

    attempt: str
    phase: str
    generation: int
    version: str = ""
    reason: str = ""


class Roster(Message, frozen=True):
    """Every slot, and whether the gateway drains; sent anew whenever that changes."""

    workers: list[WorkerStatus]
    is_draining: bool
    upgrades: list[UpgradeStatus] = []


class ReopenLogs(Message, frozen=True):
    """The log files have been moved away: open them anew."""


class Finish(Message, frozen=True):
    """Write out what is left of the logs and exit."""


SupervisorMessage = (
    Prepared | Refused | Serving | Failed | ListeningEnded | StopAsked | Publish | UpgradeAsked | Checked | MeasureAsked
)
WorkerMessage = Serve | Drain | ReopenLogs | Prepare | Forget | TakePlace | Measure
ControlMessage = Serve | Roster | ReopenLogs | Finish | Published | NotPublished | ReloadAsked


class Companion(msgspec.Struct, frozen=True):
    """Another program that lives and dies with the gateway, as the demo upstream of quickstart does."""

    name: str
    argv: list[str]
    fds: list[int] = []


class SupervisorOrder(msgspec.Struct, frozen=True):
    """How the command line starts a supervisor."""

    snapshot_fd: int
    runtime_dir: str
    python_path: list[str]
    companions: list[Companion] = []
    greeting: list[str] = []
    service: str = "tidegate.edge.server:Server"
    application: str = "tidegate.admin.api:make_applications"
    has_control: bool = True


class InheritedListener(msgspec.Struct, frozen=True):
    """A listening socket of a worker's slot; ``index`` is its listener's place in the configuration."""

    index: int
    fd: int


class CandidateOrder(msgspec.Struct, frozen=True):
    """What another program is asked before anything is started of it."""

    channel_fd: int
    region_fd: int
    snapshot_fd: int
    python_path: list[str]
    service: str
    application: str


class WorkerOrder(msgspec.Struct, frozen=True):
    """Everything a worker is told at its start.

    ``slot`` is -1 for a spare: it holds the sockets of all slots, and is told later which are its own.
    """

    slot: int
    channel_fd: int
    region_fd: int
    snapshot_fd: int
    listeners: list[InheritedListener]
    python_path: list[str]
    service: str
    stack_fd: int = -1  # where it writes its stack when it is asked
    bell_fds: list[int] = []


class ControlOrder(msgspec.Struct, frozen=True):
    """Everything control is told at its start."""

    generation: int
    started_ns: int
    supervisor_pid: int
    channel_fd: int
    region_fd: int
    snapshot_fd: int
    highest_number: int
    admin_fd: int
    admin_address: str
    socket_fd: int
    python_path: list[str]
    application: str
    is_standby: bool = False  # answers, and writes logs, when it is told to serve


OrderType = TypeVar("OrderType", SupervisorOrder, WorkerOrder, ControlOrder, CandidateOrder)


def memory_file(name: str, content: bytes) -> int:
    """A descriptor of ``content`` in memory that nobody can change any more; ``name`` shows in /proc."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, len(content))
    at = 0
    while at < len(content):
        at += os.pwrite(fd, content[at : at + (1 << 20)], at)
    seal(fd)
    return fd


def seal(fd: int) -> None:
    """What is in a memory file now is there for good."""
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)


def read_memory_file(fd: int) -> bytes:
    """All of a memory file, wherever its offset is: other processes share that."""
    size = os.fstat(fd).st_size
    content = bytearray()
    while len(content) < size:
        content += os.pread(fd, size - len(content), len(content))
    return bytes(content)


def read_order(fd: int, kind: type[OrderType]) -> OrderType:
    """The order in descriptor ``fd``, which is closed."""
    content = read_memory_file(fd)
    os.close(fd)
    return msgspec.json.decode(content, type=kind)
