"""Filter classes that a test hands in, under names that a configuration can say.

A configuration names a class by module and name. A class that stands inside a test function has no such name: handed in
here, it gets one, and is then loaded, checked and made like any other.
"""

from itertools import count

from tidegate.exchange.filter import Filter

__all__ = ["target_of"]

_numbers = count(1)
_handed: dict[str, type[Filter]] = {}


def target_of(cls: type[Filter]) -> str:
    """What ``[filters.NAME] class = …`` says to get ``cls``; ``filter_packages`` has to have "tidegate.testing"."""
    name = next((known for known, handed in _handed.items() if handed is cls), None)
    if name is None:
        name = f"{cls.__name__}_{next(_numbers)}"
        _handed[name] = cls
    return f"{__name__}:{name}"


def __getattr__(name: str) -> type[Filter]:
    try:
        return _handed[name]
    except KeyError:
        raise AttributeError(f"no filter class was handed in as {name}") from None
