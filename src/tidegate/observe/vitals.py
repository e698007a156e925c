"""How the gateway is, second by second: takes the samples in control and keeps what follows from them.

The latest sample, the saturation held for fifteen seconds, and whether the gateway suspects itself. Whoever wants each
sample as it comes (the flight recorder) is called with it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

from tidegate.config.bounds import clients_of_a_worker, descriptor_limit
from tidegate.config.schema import Gateway
from tidegate.memory.hitters import HitterReader
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.observe.kernel import Kernel
from tidegate.observe.log_writer import Say
from tidegate.observe.sample import Sample, take_sample
from tidegate.observe.saturation import Held, Saturation, SaturationBounds, saturation_of
from tidegate.observe.suspicion import Evidence, Suspicion, evidence_of

__all__ = ["Vitals", "bounds_of"]

_SUSPECTED_FOR_NS = 5_000_000_000  # told anew each second; a control that dies leaves no suspicion behind


def bounds_of(gateway: Gateway, workers: int, *, backlog_max: int | None = None) -> SaturationBounds:
    """What each of ``workers`` may have; ``backlog_max`` is what the kernel cuts a backlog to."""
    return SaturationBounds(
        connections=clients_of_a_worker(gateway, workers, descriptor_limit()),
        backlog=sum(
            one.backlog if backlog_max is None else min(one.backlog, backlog_max)
            for one in gateway.listeners
            if not one.bind.startswith("unix:")
        ),
    )


class Vitals:
    """The gateway's latest second.

    Args:
        region: The shared memory, where workers read whether the gateway suspects itself.
        bounds: What a worker may have; may be replaced when another snapshot comes.
        say: The error log.
        kernel: Reads the machine's figures.
        clock_ns: CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        region: Region,
        bounds: SaturationBounds,
        *,
        say: Say,
        kernel: Kernel | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.bounds = bounds
        self.listeners: list[Callable[[Sample, Saturation], None]] = []
        """Called with each sample and the saturation of that second."""
        self.sample: Sample | None = None
        self.suspicion = Suspicion()
        self._region = region
        self._say = say
        self._kernel = kernel or Kernel()
        self._clock_ns = clock_ns
        self._reader = MeterReader(region.mapping)
        self._hitters = HitterReader(region.mapping)
        self._held = Held()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._descriptors_max = None if limit == resource.RLIM_INFINITY else limit
        self._tell_workers(0)

    def __repr__(self) -> str:
        return f"<Vitals {self._held!r} {self.suspicion!r}>"

    @property
    def saturation(self) -> Saturation:
        """The worst of the last fifteen seconds."""
        return self._held.worst

    def take(self) -> Sample:
        """One more second: samples, judges, tells who listens."""
        now_ns = self._clock_ns()
        sample = take_sample(
            self._region,
            self._kernel,
            self.sample,
            reader=self._reader,
            hitters=self._hitters,
            descriptors_max=self._descriptors_max,
            now_ns=now_ns,
        )
        self.sample = sample
        saturation = saturation_of(sample, self.bounds)
        self._held.take(now_ns / 1e9, saturation)
        self._judge(now_ns, evidence_of(sample))
        for listener in self.listeners:
            listener(sample, saturation)
        return sample

    def _judge(self, now_ns: int, evidence: Evidence) -> None:
        began = self.suspicion.since_s
        verdict = self.suspicion.judge(now_ns / 1e9, evidence)
        if self.suspicion.is_on:
            self._tell_workers(now_ns + _SUSPECTED_FOR_NS)
        if verdict is True:
            self._say(
                "suspects_itself",
                f"{evidence}: the gateway or its network may be the cause; endpoints keep their standing",
                "error",
                failing=evidence.failing,
                asked=evidence.asked,
            )
        elif verdict is False and began is not None:
            self._tell_workers(0)
            self._say(
                "suspects_itself_no_more",
                f"peers answer again, after {now_ns / 1e9 - began:.0f} s",
                "info",
            )

    def _tell_workers(self, until_ns: int) -> None:
        for at in range(self._region.slots):
            self._region.slot(at).suspected_until_ns = until_ns
