"""Whether the gateway should get traffic: a decision from what is known, with its reasons."""

from collections.abc import Sequence

from tidegate.process.view import WorkerView

__all__ = ["reasons_not_ready"]


def reasons_not_ready(workers: Sequence[WorkerView], *, has_snapshot: bool, is_draining: bool) -> list[str]:
    """Why it should get none; empty when it is ready.

    One worker that gets on is enough: the others' share is steered to it. A busy gateway is ready as well; how busy it
    is says ``saturation``.
    """
    reasons = []
    if not has_snapshot:
        reasons.append("no configuration is active yet")
    if is_draining:
        reasons.append("the gateway is draining")
    if not any(worker.is_serving for worker in workers):
        reasons.append("no worker serves: " + ", ".join(_describe(worker) for worker in workers))
    return reasons


def _describe(worker: WorkerView) -> str:
    state = worker.state
    if worker.is_stalled:
        state = f"stalled for {worker.heartbeat_age_ns / 1e9:.1f} s"
    elif worker.told.last_death and state != "ready":
        state += f" ({worker.told.last_death})"
    return f"worker {worker.mark.slot} is {state}"
