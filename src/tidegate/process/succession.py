"""The supervisor becomes another program: same process, same descriptors, same children.

The last step of an upgrade. Everything the next program needs is in a `Handover`, in a memory file whose descriptor is
its argument. It was rehearsed a moment before with the same descriptors, so what is left to go wrong is the moment:

- `exec` fails: nothing has happened, the old program's supervisor goes on with the new workers.
- The next program starts and cannot adopt: it gives everything back to the one before, by another `exec`.
- A signal that comes meanwhile is kept: signals are blocked until the next program listens.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tidegate.observe.error_log import ErrorLog
from tidegate.process.control_place import ControlPlace
from tidegate.process.failure import in_one_line
from tidegate.process.handover import Handover, read_handover
from tidegate.process.program import Program
from tidegate.process.workforce import Workforce

if TYPE_CHECKING:
    from tidegate.process.supervisor import Supervisor

__all__ = ["SIGNALS", "hand_over", "handover", "rehearse", "take_over"]

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""What the supervisor listens to."""

_MODULE = "tidegate.process.supervisor"

Adopted = TypeVar("Adopted")


def handover(
    supervisor: "Supervisor",
    program: Program,
    workers: Workforce,
    retired: list[Workforce],
    control: ControlPlace | None,
) -> Handover:
    """What ``program`` takes over, with those workers and that control as its own."""
    return Handover(
        order=supervisor.order,
        started_ns=supervisor.started_ns,
        ends_with_terminal=supervisor.ends_with_terminal,
        holdings=supervisor.holdings.state(),
        workers=workers.state(),
        retired=[workforce.state() for workforce in retired if not workforce.is_gone],
        companions=[place.state() for place in supervisor.companions],
        control=None if control is None else control.state(),
        upgrades=supervisor.attempts.statuses(),
        program=program,
        previous=supervisor.workers.program if supervisor.workers is not workers else supervisor.program,
    )


def hand_over(supervisor: "Supervisor", program: Program) -> str:
    """Becomes ``program``; returns only when that cannot be done, with the reason."""
    supervisor.native.close()  # the next program would not know this child
    taken = handover(supervisor, program, supervisor.workers, supervisor.retired, supervisor.control)
    return _become(taken)


def take_over(fd: int, adopt: Callable[[Handover], Adopted]) -> Adopted:
    """Adopts what the memory file ``fd`` says, or gives it back to the program before."""
    taken = read_handover(fd)
    try:
        return adopt(taken)
    except Exception as error:
        if taken.is_given_back:
            raise
        sys.stderr.write(f"tidegate: the new supervisor gives back to the old one: {in_one_line(error)}\n")
        back = msgspec.structs.replace(taken, program=taken.previous, is_given_back=True)
        _become(back)
        raise


def tell(taken: Handover, log: ErrorLog) -> None:
    """Says that the upgrade has come to its end, and who watches now."""
    generation = f"generation {taken.workers.generation}"
    if taken.is_given_back:
        log.say("upgrade_incomplete", f"{generation} serves, the old supervisor stays: the new one failed", "error")
    else:
        log.say("upgraded", f"{generation} serves and is supervised by its own program, {taken.program.python}", "info")


def rehearse(fd: int, adopt: Callable[[Handover], object]) -> None:
    """Adopts everything in a process that is not the supervisor, does nothing with it, and ends."""
    adopted = adopt(read_handover(fd))
    sys.stderr.flush()
    del adopted
    os._exit(0)  # at an ordinary end sockets would be closed and files removed, which are in use


def _become(taken: Handover) -> str:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    fd = taken.in_memory()
    passed = [fd, *taken.fds()]
    try:
        for one in passed:
            os.set_inheritable(one, True)
        taken.program.become(_MODULE, ["--adopt", str(fd)])
    except OSError as error:
        reason = f"{taken.program.python}: {error.strerror or error}"
    for one in passed:
        with contextlib.suppress(OSError):
            os.set_inheritable(one, False)
    os.close(fd)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return reason
