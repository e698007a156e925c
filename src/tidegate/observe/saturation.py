"""How full the gateway is: one number for whoever adds machines, and the signals it is the worst of.

Each signal is a measured value over its bound, so 1 means that the bound is reached and 2 that it is exceeded twice:

    loop_lag      how late a worker's loop turns, over 100 ms; a loop that stands counts since its last heartbeat
    queue_delay   how long a request waited to be read, or for a connection of a pool, over 100 ms
    in_flight     connections over the worker's share of ``max_connections``; the fullest pool over its ``max``
    backlog       connections that wait to be accepted, over ``backlog``
    shedding      one more than the classes of traffic that a worker refuses for having too much to do (``[shed]``): a
                  bound is passed, and refusing may be all that keeps the other signals low; 0 while it refuses none
    link          busiest direction of the busiest network interface over its speed; 0 where the speed is not known

CPU is none of them: a loop that blocks on somebody else's answer is idle and serves nobody, and one that is busy with
work that it finishes in time needs no help.

A worker's saturation is the worst of its own signals. The gateway's is the worst of the workers that get new
connections: one that has stood for longer than a second is steered around, what it leaves to the others shows there,
and more machines would not help it; one that drains gets none either. When there are no others, all count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from tidegate.observe.sample import Sample, WorkerSample

__all__ = ["SIGNALS", "Held", "Saturation", "SaturationBounds", "WorkerSaturation", "saturation_of"]

SIGNALS = ("loop_lag", "queue_delay", "in_flight", "backlog", "shedding", "link")

LAG_TARGET_S = 0.1
DELAY_TARGET_S = 0.1
STEERED_AROUND_S = 1.0
"""A loop that stands for longer gets no new connections."""
HOLD_S = 15.0
"""How long a peak stays visible: as long as Prometheus and autoscalers usually take from one look to the next."""


class SaturationBounds(msgspec.Struct, frozen=True):
    """What a worker may have."""

    connections: int
    backlog: int
    """Of all its listening sockets; 0: they do not say (unix)."""


class WorkerSaturation(msgspec.Struct, frozen=True):
    """One worker slot."""

    slot: int
    value: float
    signals: dict[str, float]


class Saturation(msgspec.Struct, frozen=True):
    """The gateway."""

    value: float
    signals: dict[str, float]
    workers: tuple[WorkerSaturation, ...]

    @property
    def worst(self) -> str:
        """The signal that ``value`` is."""
        return max(self.signals, key=lambda name: self.signals[name])


def saturation_of(sample: Sample, bounds: SaturationBounds) -> Saturation:
    """How full the gateway is in this second."""
    running = [worker for worker in sample.workers if worker.is_running]
    workers = [_worker(worker, bounds) for worker in running]
    in_use = [
        one
        for one, worker in zip(workers, running, strict=True)
        if worker.state == "ready" and worker.heartbeat_age_s <= STEERED_AROUND_S
    ] or workers
    signals = _worst(one.signals for one in in_use)
    signals["link"] = round(sample.link_share or 0.0, 3)
    return Saturation(max(signals.values()), signals, tuple(workers))


def _worker(worker: WorkerSample, bounds: SaturationBounds) -> WorkerSaturation:
    signals = {
        "loop_lag": worker.loop_lag_s / LAG_TARGET_S,
        "queue_delay": worker.queue_delay_s / DELAY_TARGET_S,
        "in_flight": max(worker.connections / max(bounds.connections, 1), worker.pool_share),
        "backlog": worker.queued / bounds.backlog if bounds.backlog else 0.0,
        "shedding": 1.0 + worker.shed_level if worker.shed_level > 0 else 0.0,
    }
    signals = {name: round(max(value, 0.0), 3) for name, value in signals.items()}
    return WorkerSaturation(worker.slot, max(signals.values()), signals)


def _worst(many: Iterable[dict[str, float]]) -> dict[str, float]:
    worst = dict.fromkeys(SIGNALS, 0.0)
    for signals in many:
        for name, value in signals.items():
            worst[name] = max(worst[name], value)
    return worst


class Held:
    """The worst of the last fifteen seconds, signal by signal and worker by worker."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._taken: deque[tuple[float, Saturation]] = deque()

    def __repr__(self) -> str:
        return f"<Held {self.worst.value:.3g} of {len(self._taken)} samples>"

    def take(self, now_s: float, latest: Saturation) -> None:
        """One more sample; those that are too old are dropped."""
        self._taken.append((now_s, latest))
        while self._taken[0][0] < now_s - self._hold_s:
            self._taken.popleft()

    @property
    def worst(self) -> Saturation:
        """The worst of what is held; of a worker only if it still runs."""
        if not self._taken:
            return Saturation(0.0, dict.fromkeys(SIGNALS, 0.0), ())
        signals = _worst(one.signals for _, one in self._taken)
        by_slot: dict[int, list[dict[str, float]]] = {worker.slot: [] for worker in self._taken[-1][1].workers}
        for _, one in self._taken:
            for worker in one.workers:
                if worker.slot in by_slot:
                    by_slot[worker.slot].append(worker.signals)
        workers = []
        for slot, taken in by_slot.items():
            worst = {name: value for name, value in _worst(taken).items() if name != "link"}
            workers.append(WorkerSaturation(slot, max(worst.values()), worst))
        return Saturation(max(signals.values()), signals, tuple(workers))
