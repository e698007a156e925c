"""All that a supervisor leaves to the program that takes its place in the same process.

Descriptors keep their numbers over `exec`, children stay children, so numbers and pids are enough. What reads this is
another version of the program: what is added has a default, and what is there keeps its meaning. `FORMAT` goes up when
that cannot be done; a candidate that reads another one refuses, and the upgrade takes a restart.
"""

import os

import msgspec

from tidegate.process.messages import SupervisorOrder, UpgradeStatus, memory_file, read_memory_file
from tidegate.process.program import Program

__all__ = ["FORMAT", "GroupState", "Handover", "HoldingsState", "PlaceState", "WorkforceState", "read_handover"]

FORMAT = 1


class GroupState(msgspec.Struct, frozen=True):
    """The sockets of a listener; ``path`` of a unix one that is ours to remove."""

    address: str
    fds: list[int]
    slots: int
    path: str = ""


class HoldingsState(msgspec.Struct, frozen=True):
    """Sockets and shared memory."""

    groups: list[GroupState]
    region_fd: int
    bell_fds: list[int] = []
    admin: GroupState | None = None
    commands: GroupState | None = None
    kept_fds: list[int] = []
    state_lock_fd: int = -1
    pid_file: str | None = None


class PlaceState(msgspec.Struct, frozen=True):
    """A place and the process in it (pid 0: nobody)."""

    name: str
    pid: int = 0
    channel_fd: int = -1
    started_s: float = 0.0
    start_at_s: float | None = None
    has_prepared: bool = False
    last_death: str = ""
    restarts: int = 0
    # of a worker
    is_told_to_serve: bool = False
    is_listening: bool = False
    prepared: int = 0
    stacks_fd: int = -1


class WorkforceState(msgspec.Struct, frozen=True):
    """One generation of workers, by seat."""

    generation: int
    places: list[PlaceState]
    snapshot_number: int
    snapshot_fd: int
    highest_number: int
    is_draining: bool = False
    drain_deadline_s: float = 0.0


class Handover(msgspec.Struct, frozen=True):
    """Everything; ``previous`` is the program that hands over, ``program`` the one that takes."""

    order: SupervisorOrder
    started_ns: int
    ends_with_terminal: bool
    holdings: HoldingsState
    workers: WorkforceState
    retired: list[WorkforceState]
    companions: list[PlaceState]
    program: Program
    previous: Program
    control: PlaceState | None = None
    upgrades: list[UpgradeStatus] = []
    is_given_back: bool = False  # the program it was for could not take it
    format: int = FORMAT

    def fds(self) -> list[int]:
        """Every descriptor that has to be open in the program that takes over."""
        holdings = self.holdings
        groups = [*holdings.groups, *(group for group in (holdings.admin, holdings.commands) if group is not None)]
        found = {
            holdings.region_fd,
            holdings.state_lock_fd,
            *holdings.bell_fds,
            *holdings.kept_fds,
            *(fd for group in groups for fd in group.fds),
        }
        places = [*self.companions, *([] if self.control is None else [self.control])]
        for workforce in (self.workers, *self.retired):
            places += workforce.places
            found.add(workforce.snapshot_fd)
        found.update(fd for place in places for fd in (place.channel_fd, place.stacks_fd))
        found.update(fd for companion in self.order.companions for fd in companion.fds)
        return sorted(fd for fd in found if fd >= 0)

    def in_memory(self) -> int:
        """A memory file of it."""
        return memory_file("handover", msgspec.msgpack.encode(self))


def read_handover(fd: int) -> Handover:
    """What is in the memory file ``fd``, which is closed.

    Raises:
        ValueError: another version of the program wrote it in another format.
    """
    content = read_memory_file(fd)
    os.close(fd)
    written = msgspec.msgpack.decode(content, type=_Format).format
    if written != FORMAT:
        raise ValueError(f"the running supervisor hands over in format {written}, this program reads {FORMAT}")
    return msgspec.msgpack.decode(content, type=Handover)


class _Format(msgspec.Struct):
    format: int
