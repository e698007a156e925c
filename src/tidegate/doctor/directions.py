"""Which kinds of peers fail from here: clients, each upstream, each Redis server; and whether what they share is here.

One that fails alone is that peer, or the way to it. When directions that have nothing to do with each other fail in the
same seconds, the end that they have in common is this machine, its cable or its switch.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Unseen
from tidegate.doctor.sockets import Connection

__all__ = ["Direction", "compare_directions", "judge_directions"]

_RETRANSMITS = 0.02
_RETRANSMITS_MIN = 3
_FAILURES = 0.5
_FAILURES_MIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One kind of peers, in the seconds between the two looks.

    ``unanswered``: connections whose first packet was sent again and not answered. ``failures`` and ``exchanges``: as
    the gateway has counted them, of upstreams only.
    """

    name: str
    connections: int
    is_local: bool
    rtt_s: float | None = None
    segments: int = 0
    retransmits: int = 0
    unanswered: int = 0
    failures: int = 0
    exchanges: int = 0

    @property
    def is_failing(self) -> bool:
        """Whether something is wrong there."""
        lossy = self.retransmits >= _RETRANSMITS_MIN and self.retransmits > self.segments * _RETRANSMITS
        # A dial that failed is no exchange, one that was answered too late is: so the share is an upper bound.
        failing = self.failures >= _FAILURES_MIN and self.failures >= self.exchanges * _FAILURES
        return bool(self.unanswered) or lossy or failing

    def __str__(self) -> str:
        rtt = "no round trip known" if self.rtt_s is None else f"round trip {self.rtt_s * 1000:.2f} ms"
        parts = [f"{self.connections} connections", rtt, f"{self.retransmits} of {self.segments} segments sent again"]
        if self.unanswered:
            parts.append(f"{self.unanswered} not answered")
        if self.exchanges or self.failures:
            parts.append(f"{self.failures} failures beside {self.exchanges} exchanges")
        return f"{self.name}: {', '.join(parts)}" + (" (on this machine)" if self.is_local else "")


def compare_directions(facts: Facts, peers: Mapping[tuple[str, int], str], ports: Sequence[int]) -> list[Direction]:
    """Every direction that has connections, or should have.

    Args:
        facts: With connections of two moments.
        peers: The name of the direction by address and port of its servers.
        ports: Where clients connect.
    """
    groups: dict[str, list[Connection]] = {name: [] for name in peers.values()}
    for one in facts.connections or ():
        name = peers.get(one.peer) or ("clients" if one.local[1] in ports else None)
        if name is not None:
            groups.setdefault(name, []).append(one)
    before = {(one.local, one.peer): one for one in facts.earlier_connections or ()}
    return [_direction(facts, name, group, before) for name, group in groups.items()]


def _direction(
    facts: Facts,
    name: str,
    group: list[Connection],
    before: Mapping[tuple[tuple[str, int], tuple[str, int]], Connection],
) -> Direction:
    segments = retransmits = unanswered = 0
    for one in group:
        was = before.get((one.local, one.peer))
        # Ports are used again: counters that went down are of another connection.
        if was is not None and was.segments_out > one.segments_out:
            was = None
        segments += one.segments_out - (0 if was is None else was.segments_out)
        retransmits += one.retransmits - (0 if was is None else was.retransmits)
        unanswered += one.state == "syn-sent" and one.retransmits > 0
    established = [one.rtt_s for one in group if one.state == "established" and one.rtt_s]
    failures, exchanges = _counted(facts, name)
    return Direction(
        name=name,
        connections=len(group),
        is_local=bool(group) and all(one.is_local for one in group),
        rtt_s=statistics.median(established) if established else None,
        segments=segments,
        retransmits=max(0, retransmits),
        unanswered=unanswered,
        failures=failures,
        exchanges=exchanges,
    )


def _counted(facts: Facts, name: str) -> tuple[int, int]:
    if facts.running is None or facts.earlier_running is None:
        return 0, 0
    upstream = name.removeprefix("upstream ")
    now, was = facts.running.upstreams.get(upstream), facts.earlier_running.upstreams.get(upstream)
    if now is None or was is None or upstream == name:
        return 0, 0
    return now.failures_total - was.failures_total, now.exchanges_total - was.exchanges_total


def judge_directions(directions: Sequence[Direction]) -> Iterator[Finding | Unseen]:
    """What is wrong with one of them, or with the end they have in common."""
    failing = [one for one in directions if one.is_failing]
    alive = [one for one in directions if one.connections or one.exchanges or one.failures]
    if not alive:
        yield Unseen("directions", "there is no connection to clients, upstreams or Redis servers at this moment")
    if len(failing) >= 2 and len(failing) * 2 >= len(alive):
        yield Finding(
            check="directions",
            severity="serious",
            subject="this machine",
            seen=f"{len(failing)} of {len(alive)} directions fail at once ({'; '.join(map(str, failing))})",
            why="they have nothing to do with each other; the end that they have in common is this machine",
            mend="its cable, its switch, its firewall's table of connections (nf_conntrack), its link's load; restart "
            "nothing on the other side",
        )
        return
    for one in failing:
        yield Finding(
            check="directions",
            severity="serious",
            subject=one.name,
            seen=f"{one}; the other {len(alive) - 1} directions do not fail",
            why="it is that peer, or the way to it: this machine reaches everybody else",
            mend="ask there, and on the way there (mtr, its own `tidegate doctor`)",
        )
