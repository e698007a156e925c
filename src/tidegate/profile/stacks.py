"""Stacks with a weight: how often, how long or how much, by the calls from the outermost on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Stacks", "Unit", "parse_folded"]

Unit = Literal["samples", "seconds", "bytes"]


@dataclass(slots=True)
class Stacks:
    """``weights`` by the calls, outermost first; ``unit`` is what a weight counts."""

    unit: Unit
    weights: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, calls: Iterable[str], weight: float) -> None:
        """More of one stack."""
        stack = tuple(calls)
        self.weights[stack] = self.weights.get(stack, 0.0) + weight

    def add_all(self, others: Mapping[tuple[str, ...], float], root: str = "") -> None:
        """Those of another measurement, below a call ``root`` if there is one."""
        for stack, weight in others.items():
            self.add((root, *stack) if root else stack, weight)

    @property
    def total(self) -> float:
        """All weights together."""
        return sum(self.weights.values())

    def folded(self) -> str:
        """One stack a line, its calls joined by semicolons, and its weight: what flamegraph.pl reads."""
        lines = (f"{';'.join(_plain(call) for call in stack)} {weight:g}" for stack, weight in self.weights.items())
        return "".join(f"{line}\n" for line in sorted(lines))


def parse_folded(text: str, unit: Unit = "samples") -> Stacks:
    """What py-spy writes with ``--format raw``; lines that are none of it are passed over."""
    stacks = Stacks(unit)
    for line in text.splitlines():
        calls, _, weight = line.rpartition(" ")
        if calls and weight.isdigit():
            stacks.add(calls.split(";"), int(weight))
    return stacks


def _plain(call: str) -> str:
    return call.replace(";", ",").replace("\n", " ")
