"""What the supervisor owns for as long as it lives: listening sockets, shared memory, control's own sockets.

Also what says that nobody else may run this gateway: the lock on its state directory, and the pid file.
"""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tidegate.config.allotment import room_of
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.process import pid_file, runtime_directory, state_directory
from tidegate.process.belongings import claim_state
from tidegate.process.cores import usable_cores
from tidegate.process.failure import StartError
from tidegate.process.handover import HoldingsState
from tidegate.process.identity import Identity
from tidegate.process.learned import restore_learned
from tidegate.process.limits_key import limits_key
from tidegate.process.listeners import ListenerGroup, open_listeners
from tidegate.process.messages import SupervisorOrder
from tidegate.process.quota_restore import restore_quotas

__all__ = ["Holdings"]

_INHERITANCE_S = 10.0  # how long sockets of a gateway that was killed are waited for
_LOOK_AGAIN_S = 0.02

Opened = TypeVar("Opened")


class Holdings:
    """Made once; a program that takes over adopts the same."""

    def __init__(
        self,
        region: Region,
        groups: list[ListenerGroup],
        admin: ListenerGroup | None = None,
        commands: ListenerGroup | None = None,
        *,
        state_lock_fd: int = -1,
        pid_file: str | None = None,
    ) -> None:
        self.region = region
        self.groups = groups
        # Control's sockets are of its own, made once like the others: who asks while it is replaced is answered late.
        self.admin = admin
        self.commands = commands
        self.state_lock_fd = state_lock_fd
        self.pid_file = pid_file
        self.notices: list[tuple[str, str, str]] = []
        """Kind, message and level of what there is to say once the error log is open."""

    @classmethod
    def open(
        cls,
        order: SupervisorOrder,
        snapshot: Snapshot,
        identity: Identity | None = None,
        is_told_to_end: Callable[[], bool] = lambda: False,
    ) -> "Holdings":
        """Binds and maps everything.

        Args:
            order: How the gateway was started.
            snapshot: Its configuration.
            identity: The user whom it becomes; None: it stays who it is.
            is_told_to_end: Asked as long as addresses are waited for.

        Raises:
            StartError: something is in the way, or it was told to end, and nothing stays behind.
        """
        gateway = snapshot.gateway
        slots = usable_cores() if gateway.server.workers == "auto" else gateway.server.workers
        with contextlib.ExitStack() as opened:
            # First, so that the second start of one gateway hears which process is in its way, not which port.
            directory = state_directory.of_gateway(snapshot)
            killed = None if directory is None else state_directory.last_holder(directory)
            lock_fd = -1 if directory is None else claim_state(directory, identity)
            opened.callback(state_directory.release, lock_fd, killed)
            heirs = _Heirs(killed if lock_fd >= 0 else None, is_told_to_end)
            if gateway.server.pid_file is not None:
                pid_file.look(Path(gateway.server.pid_file))
            groups = heirs.wait_for(lambda: open_listeners(gateway.listeners, slots))
            for group in groups:
                opened.callback(group.close)
            sizes = {"log_bytes": gateway.access_log.buffer, "series": gateway.metrics.series}
            with contextlib.nullcontext() if identity is None else identity.assumed():
                secret = limits_key(directory) if directory is not None and lock_fd >= 0 else None
            region = Region.create(
                2 * slots, workers=slots, secret=secret, **sizes, **room_of(gateway.server.limits_memory)
            )
            opened.callback(region.close)
            restore_learned(region, snapshot, directory)
            holdings = cls(region, groups, state_lock_fd=lock_fd)
            if directory is not None and secret is not None:
                holdings.restore_quotas(snapshot, directory)
            if order.has_control:
                admin = _Admin(gateway.server.admin)
                holdings.admin = heirs.wait_for(lambda: ListenerGroup.open(admin, 1, is_exclusive=True))
                opened.callback(holdings.admin.close)
                runtime_directory.prepare(Path(order.runtime_dir))
                # What others left behind goes: killed ones, and those whose user may not remove anything there.
                runtime_directory.find_running(Path(order.runtime_dir))
                path = runtime_directory.socket_path(order.runtime_dir, os.getpid())
                holdings.commands = ListenerGroup.open(_Admin(f"unix:{path}"), 1)
                opened.callback(holdings.commands.close)
            if gateway.server.pid_file is not None:
                pid_file.write(Path(gateway.server.pid_file))
                holdings.pid_file = gateway.server.pid_file
            opened.pop_all()
        return holdings

    @classmethod
    def adopt(cls, state: HoldingsState) -> "Holdings":
        """What the program that this process ran before has left. ValueError: the memory is laid out otherwise."""
        if state.state_lock_fd >= 0:
            os.set_inheritable(state.state_lock_fd, False)
        return cls(
            Region.attach(state.region_fd, state.bell_fds),
            [ListenerGroup.adopt(group) for group in state.groups],
            None if state.admin is None else ListenerGroup.adopt(state.admin),
            None if state.commands is None else ListenerGroup.adopt(state.commands),
            state_lock_fd=state.state_lock_fd,
            pid_file=state.pid_file,
        )

    def state(self) -> HoldingsState:
        """What `adopt` needs."""
        return HoldingsState(
            groups=[group.state() for group in self.groups],
            region_fd=self.region.fd,
            bell_fds=self.region.bell_fds,
            admin=None if self.admin is None else self.admin.state(),
            commands=None if self.commands is None else self.commands.state(),
            state_lock_fd=self.state_lock_fd,
            pid_file=self.pid_file,
        )

    def restore_quotas(self, snapshot: Snapshot, directory: Path) -> None:
        """Takes quotas up where the gateway before has left them."""
        wall_ms, now_ms = time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000
        age_ms, trouble = restore_quotas(self.region, snapshot, directory, wall_ms=wall_ms, now_ms=now_ms)
        if trouble:
            lost = "quotas begin anew" if age_ms < 0 else "quotas are taken up as far as it is whole"
            self.notices.append(("quotas_damaged", f"{trouble}: {lost}", "warning"))
        elif age_ms >= 0:
            self.notices.append(
                ("quotas_restored", f"quotas are taken up as they were written {age_ms / 1000:.1f} s ago", "info")
            )

    def __repr__(self) -> str:
        return f"<Holdings {self.groups} {self.region!r}>"

    def close_listeners(self) -> None:
        """Nobody new comes in any more."""
        for group in self.groups:
            group.close()
        self.groups.clear()

    def close(self) -> None:
        """Gives everything up."""
        self.close_listeners()
        self.region.close()
        for group in (self.admin, self.commands):
            if group is not None:
                group.close()
        if self.pid_file is not None:
            pid_file.remove(Path(self.pid_file))
        state_directory.release(self.state_lock_fd)
        self.state_lock_fd = -1


class _Heirs:
    """Processes of the gateway before, whose supervisor ``killed`` has left them: they close their sockets any moment.

    Workers do so as soon as they notice, control when it sees that another has claimed the state directory. One that is
    stopped or whose loop is held does not; with its socket in the group it would get its share of all connections.
    """

    def __init__(self, killed: int | None, is_told_to_end: Callable[[], bool]) -> None:
        self._killed = killed
        self._is_told_to_end = is_told_to_end
        self._until_s = time.monotonic() + _INHERITANCE_S
        self._has_said = False

    def wait_for(self, opening: Callable[[], Opened]) -> Opened:
        """What ``opening`` opens, tried again for a while when an address is in use.

        Raises:
            StartError: it stays so; or the gateway is told to end meanwhile, which is no failure.
        """
        while True:
            try:
                return opening()
            except StartError as refused:
                cause = refused.__cause__
                is_in_use = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
                if self._killed is None or not is_in_use or time.monotonic() >= self._until_s:
                    raise
                self._say(str(refused))
            if self._is_told_to_end():
                raise StartError("told to end while it waited for the gateway before", exit_code=0)
            time.sleep(_LOOK_AGAIN_S)

    def _say(self, refusal: str) -> None:
        if self._has_said:
            return
        self._has_said = True
        what = refusal.partition(": ")[0]
        with contextlib.suppress(OSError):
            sys.stderr.write(
                f"tidegate: {what} yet: the gateway before (pid {self._killed}) was killed, and a process of it still "
                f"has the address; waits for at most {_INHERITANCE_S:g} s\n"
            )
            sys.stderr.flush()


class _Admin:
    """How control's own sockets are opened: the address as configured, nobody else on a unix one."""

    backlog = 128
    mode = 0o600
    owner = None

    def __init__(self, bind: str) -> None:
        self.bind = bind
