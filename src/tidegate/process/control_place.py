"""Control's place: how it is started, and what it was told last."""

import os
from dataclasses import dataclass

from tidegate.process.channel import Channel, channel_pair
from tidegate.process.child import Child
from tidegate.process.holdings import Holdings
from tidegate.process.messages import ControlMessage, ControlOrder, Roster, SupervisorMessage, SupervisorOrder
from tidegate.process.place import Place
from tidegate.process.program import Program
from tidegate.process.workforce import Workforce

__all__ = ["ControlPlace"]


@dataclass(kw_only=True)
class ControlPlace(Place):
    """The control process of one generation; a later one of the same generation gets the same order."""

    order: SupervisorOrder
    program: Program
    holdings: Holdings
    workers: Workforce
    started_ns: int
    is_standby: bool = False  # another one answers still
    _told: Roster | None = None

    def start(self) -> Child:
        """Starts control. OSError: no process could be made."""
        admin, commands, region = self.holdings.admin, self.holdings.commands, self.holdings.region
        assert admin is not None and commands is not None  # noqa: S101, PT018 - narrows the types
        ours, theirs = channel_pair()
        order = ControlOrder(
            generation=self.workers.generation,
            started_ns=self.started_ns,
            supervisor_pid=os.getpid(),
            channel_fd=theirs.fileno(),
            region_fd=region.fd,
            snapshot_fd=self.workers.snapshot_fd,
            highest_number=self.workers.highest_number,
            admin_fd=admin.fd(0),
            admin_address=admin.address,
            socket_fd=commands.fd(0),
            python_path=self.program.python_path,
            application=self.order.application,
            is_standby=self.is_standby,
        )
        fds = [theirs.fileno(), region.fd, self.workers.snapshot_fd, admin.fd(0), commands.fd(0)]
        try:
            channel: Channel[SupervisorMessage] = Channel(ours, SupervisorMessage)
            child = Child.start(
                "tidegate-control", "tidegate.process.control", order, channel, fds=fds, program=self.program
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.fill(child)
        return child

    def fill(self, child: Child) -> None:
        super().fill(child)
        self._told = None  # the new one knows nothing yet

    def send(self, message: ControlMessage) -> bool:
        """Says something to the process in it; False when nobody hears it."""
        return self.child is not None and self.child.channel is not None and self.child.channel.send(message)

    def tell(self, roster: Roster) -> None:
        """Says who works, unless that is known."""
        if roster != self._told and self.send(roster):
            self._told = roster
