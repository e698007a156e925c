"""Figures of limits and their cells: ``python -m benchmarks NAME``, and ``micro rates`` for what a decision costs."""

from collections.abc import Callable

from benchmarks.limits import charges, cost, races, refusals

__all__ = ["KNOWN"]

KNOWN: dict[str, Callable[[], int]] = {
    "limits-births": races.births,
    "limits-exactness": races.exactness,
    "limits-charges": charges.charges,
    "limits-cost": cost.cost,
    "refusals": refusals.refusals,
}
