"""Figures of a gateway in trouble: ``python -m benchmarks NAME``. Each starts what it needs and prints what it saw."""

from collections.abc import Callable

from benchmarks.trouble import health, overload

__all__ = ["KNOWN"]

KNOWN: dict[str, Callable[[], int]] = {
    "health-busy": health.main,
    "restart-overload": overload.main,
}
