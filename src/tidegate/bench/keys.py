"""Keys as requests have them: all alike, one after the other, or a few of them nearly always."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random

__all__ = ["KINDS", "parse", "sequence", "uniform", "zipf"]

MOST = 10_000_000
"""Keys of a Zipf distribution: each costs eight bytes while they are drawn."""
_AT_ONCE = 4096


def uniform(count: int, random: Random) -> Iterator[int]:
    """Each of 0 to ``count`` - 1 as often as any other, without end."""
    _positive(count)
    while True:
        yield random.randrange(count)


def sequence(count: int, random: Random) -> Iterator[int]:  # noqa: ARG001 - alike for who chooses by name
    """0 to ``count`` - 1 in this order, around and around: the worst for a cache that forgets the oldest."""
    _positive(count)
    return itertools.cycle(range(count))


def zipf(count: int, random: Random, exponent: float = 1.0) -> Iterator[int]:
    """Key k of 0 to ``count`` - 1 in proportion to 1 / (k + 1)^exponent, without end.

    Requests for web pages have exponents of 0.6 to 0.85 (Breslau et al., "Web Caching and Zipf-like Distributions",
    INFOCOM 1999), tenants of a service often 1 and more.
    """
    _positive(count)
    if count > MOST:
        raise ValueError(f"at most {MOST:,} keys can be drawn from a Zipf distribution, got {count:,}")
    if not 0 <= exponent <= 10:
        raise ValueError(f"the exponent of a Zipf distribution is 0 to 10 here, got {exponent}")
    cumulated = list(itertools.accumulate((key + 1) ** -exponent for key in range(count)))
    while True:
        yield from random.choices(range(count), cum_weights=cumulated, k=_AT_ONCE)


def _positive(count: int) -> None:
    if count < 1:
        raise ValueError(f"there is at least one key, got {count}")


KINDS = {"uniform": uniform, "sequence": sequence, "zipf": zipf}


def parse(text: str, random: Random) -> Iterator[int]:
    """The keys that are written ``uniform:1000``, ``sequence:1000``, ``zipf:1000`` or ``zipf:1000:0.8``."""
    kind, *numbers = text.split(":")
    try:
        if kind in ("uniform", "sequence"):
            (count,) = map(int, numbers)
            return KINDS[kind](count, random)
        if kind == "zipf":
            return zipf(int(numbers[0]), random, *map(float, numbers[1:]))
    except (TypeError, ValueError, IndexError) as error:
        if "got" in str(error):
            raise
    raise ValueError(f'keys are written "uniform:COUNT", "sequence:COUNT" or "zipf:COUNT:EXPONENT", got {text!r}')
