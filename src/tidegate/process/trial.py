"""Processes of a new program that try something, say how it went, and end: nothing depends on them yet."""

import os
from dataclasses import dataclass, field

from tidegate.process.channel import Channel, channel_pair
from tidegate.process.child import Child
from tidegate.process.handover import Handover
from tidegate.process.messages import CandidateOrder, SupervisorMessage, SupervisorOrder
from tidegate.process.place import Place
from tidegate.process.program import Program
from tidegate.process.workforce import Workforce

__all__ = ["CandidatePlace", "RehearsalPlace"]


@dataclass(kw_only=True)
class _TrialPlace(Place):
    """What it writes to standard error is kept, for who asked: a program that cannot be imported says so there."""

    _stderr_fd: int = field(default_factory=lambda: os.memfd_create("stderr", os.MFD_CLOEXEC))

    def why(self, reason: str) -> str:
        """How it ended, and its last line."""
        said = os.pread(self._stderr_fd, 64 << 10, max(0, os.fstat(self._stderr_fd).st_size - (64 << 10)))
        lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
        last = f": {lines[-1].strip()}" if lines else ""
        return f"{self.name} {reason}{last}" if reason.startswith(("exited", "killed")) else f"{self.name}: {reason}"

    def close(self) -> None:
        """Forgets what it wrote."""
        if self._stderr_fd >= 0:
            os.close(self._stderr_fd)
            self._stderr_fd = -1


@dataclass(kw_only=True)
class CandidatePlace(_TrialPlace):
    """The new program looks at the running gateway: `candidate`."""

    order: SupervisorOrder
    program: Program
    region_fd: int
    workers: Workforce

    def start(self) -> Child:
        """Starts it. OSError: no process could be made."""
        ours, theirs = channel_pair()
        order = CandidateOrder(
            channel_fd=theirs.fileno(),
            region_fd=self.region_fd,
            snapshot_fd=self.workers.snapshot_fd,
            python_path=self.program.python_path,
            service=self.order.service,
            application=self.order.application if self.order.has_control else "",
        )
        fds = [theirs.fileno(), self.region_fd, self.workers.snapshot_fd]
        try:
            channel: Channel[SupervisorMessage] = Channel(ours, SupervisorMessage)
            module = "tidegate.process.candidate"
            child = Child.start(
                "tidegate-candidate",
                module,
                order,
                channel,
                fds=fds,
                program=self.program,
                stderr=self._stderr_fd,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.fill(child)
        return child


@dataclass(kw_only=True)
class RehearsalPlace(_TrialPlace):
    """The new program's supervisor adopts everything, and ends without having done anything: `succession`."""

    handover: Handover

    def start(self) -> Child:
        """Starts it. OSError: no process could be made."""
        fd = self.handover.in_memory()
        try:
            program = self.handover.program
            child = Child.start_program(
                "tidegate-rehearsal",
                program.command("tidegate.process.supervisor", "--rehearse", str(fd)),
                [fd, *self.handover.fds()],
                environment=program.environment(),
                stderr=self._stderr_fd,
            )
        finally:
            os.close(fd)
        self.fill(child)
        return child
