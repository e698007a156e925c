"""Figures of limits and their cells: ``python -m benchmarks NAME``, and ``micro rates`` for what a decision costs."""

from collections.abc import Callable

from benchmarks.limits import bad_keys, charges, fleet, heavy, races, refusals

__all__ = ["KNOWN"]

KNOWN: dict[str, Callable[[], int]] = {
    "limits-births": races.births,
    "limits-exactness": races.exactness,
    "limits-charges": charges.charges,
    "limits-heavy": heavy.heavy_and_light,
    "fleet-limits": fleet.fleet,
    "fleet-limits-exact": fleet.fleet_exact,
    "bad-keys": bad_keys.bad_keys,
    "refusals": refusals.refusals,
}
