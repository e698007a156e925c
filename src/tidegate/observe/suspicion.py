"""It may be me: whether so many unrelated peers fail at once that the gateway itself is the likelier cause.

When a cable, a route, a firewall's table or this machine fails, everybody looks dead from here. A gateway that believes
it ejects every endpoint and cuts every client, and turns a second of trouble into minutes. So before anything is cut,
the peers are counted: a second in which at least half of those that were asked failed, four or more of them, and in
more than one group (each upstream is a group, and the clients are one), is held against the gateway and not against
them. While that lasts, and for three seconds after, endpoints keep their standing.

A peer fails when at least half of what was asked of it in that second was refused, reset, timed out or left unanswered.
A client fails when its connection is reset or takes nothing any more; one that hangs up does not.

The peers of one upstream are alike and may die together (a bad release, one rack), hence the groups.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tidegate.observe.sample import Sample

__all__ = ["Evidence", "Group", "Suspicion", "evidence_of"]

LEAST_FAILING = 4
LEAST_GROUPS = 2
CALM_S = 3.0
"""How long it has to be over."""
CLIENTS = "clients"


class Group(NamedTuple):
    """Peers that may fail together: ``name`` is an upstream, or the clients."""

    name: str
    asked: int
    failing: int


class Evidence(msgspec.Struct, frozen=True):
    """One second of everybody's failures, and of what this machine could have to do with them."""

    groups: tuple[Group, ...]
    """Those with somebody failing, worst first."""
    asked: int
    failing: int
    loop_lag_s: float
    link_share: float | None
    retransmit_share: float

    @property
    def is_against_us(self) -> bool:
        """Whether the gateway is the likelier cause."""
        return self.failing >= LEAST_FAILING and len(self.groups) >= LEAST_GROUPS and 2 * self.failing >= self.asked

    def __str__(self) -> str:
        named = ", ".join(f"{one.name} {one.failing}/{one.asked}" for one in self.groups[:8])
        link = "unknown" if self.link_share is None else f"{self.link_share:.0%}"
        return (
            f"{self.failing} of {self.asked} peers failed within a second ({named}); "
            f"own loop lag {self.loop_lag_s * 1e3:.0f} ms, link {link}, segments sent again {self.retransmit_share:.1%}"
        )


def evidence_of(sample: Sample) -> Evidence:
    """What the sample says about the peers."""
    groups = [Group(one.name, one.endpoints_asked, one.endpoints_failing) for one in sample.upstreams]
    # Workers see other clients, and the same endpoints: what one of them saw of an upstream is what there is.
    groups.append(
        Group(
            CLIENTS,
            sum(worker.clients_asked for worker in sample.workers),
            sum(worker.clients_failing for worker in sample.workers),
        )
    )
    failing = sorted((one for one in groups if one.failing), key=lambda one: (-one.failing, one.name))
    return Evidence(
        groups=tuple(failing),
        asked=sum(one.asked for one in groups),
        failing=sum(one.failing for one in groups),
        loop_lag_s=max((worker.loop_lag_s for worker in sample.workers), default=0.0),
        link_share=sample.link_share,
        retransmit_share=sample.retransmit_share,
    )


class Suspicion:
    """Begins with one second of evidence against us and ends after three without."""

    def __init__(self) -> None:
        self.since_s: float | None = None
        self._last_s = 0.0

    def __repr__(self) -> str:
        return f"<Suspicion {'none' if self.since_s is None else f'since {self.since_s:.1f} s'}>"

    @property
    def is_on(self) -> bool:
        """Whether the gateway suspects itself."""
        return self.since_s is not None

    def judge(self, now_s: float, evidence: Evidence) -> bool | None:
        """Takes one second into account: True when suspicion begins with it, False when it ends, None: as before."""
        if evidence.is_against_us:
            self._last_s = now_s
            if self.since_s is None:
                self.since_s = now_s
                return True
        elif self.since_s is not None and now_s - self._last_s >= CALM_S:
            self.since_s = None
            return False
        return None
