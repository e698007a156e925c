"""How long a value may be given out: arithmetic on times, in seconds on one clock that the caller has.

A value is *fresh* for its time to live, less a random part of it, so that values that came together do not all end in
one moment. After that it is *stale*: it may be given out while it is fetched again (``stale-while-revalidate``), or
when that fails (``stale-if-error``); the words are those of RFC 5861.

A value in use is fetched again a little before it ends, by chance: the nearer the end, the likelier, and the earlier
the longer a fetch takes. Of many callers one is the first to be chosen, and nobody has to wait at the end (XFetch:
Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015).
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

__all__ = ["Lifetimes", "Times", "is_due_early"]

_SURELY = 14.0
"""So many times the length of its fetch before its end no value is chosen yet: less than one in a million would be."""


class Times(NamedTuple):
    """The moments of a value's life; from ``early_from`` on each is at or after the one before it.

    loaded_at: when its fetch began: what changed later is not in it. early_from: until then nothing has to be asked.
    """

    loaded_at: float
    early_from: float
    fresh_until: float
    stale_until: float
    error_until: float


_times: Final = partial(tuple.__new__, Times)  # what its own ``__new__`` does after another call


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What a cache says of its values; all in seconds but the parts ``jitter`` and ``eagerness``."""

    ttl_s: float
    negative_ttl_s: float = 0.0
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    jitter: float = 0.0
    eagerness: float = 0.0

    def times(
        self,
        loaded_at: float,
        now: float,
        chance: float,
        *,
        ttl_s: float | None = None,
        is_negative: bool = False,
    ) -> Times:
        """The life of a value that came now.

        Args:
            loaded_at: When its fetch began.
            now: When it came; its time to live counts from here.
            chance: A random number from 0 to 1, which spreads the ends.
            ttl_s: Its own time to live.
            is_negative: Whether it says that there is no value: that ends with its time, and is not given out stale.
        """
        if is_negative:
            return self.rest(loaded_at, now, self.negative_ttl_s, 0.0, is_negative=True)
        left_s = (self.ttl_s if ttl_s is None else ttl_s) * (1.0 - self.jitter * chance)
        return self.rest(loaded_at, now, left_s, now - loaded_at)

    def rest(self, loaded_at: float, now: float, left_s: float, load_s: float, *, is_negative: bool = False) -> Times:
        """What is left of the life of a value that somebody else has fetched.

        Args:
            loaded_at: What was invalidated later is not in it.
            now: The time.
            left_s: How long it is fresh; less than 0: how long ago it ended.
            load_s: How long its fetch took.
            is_negative: Whether it says that there is no value.
        """
        fresh_until = now + left_s
        if is_negative:
            return _times((loaded_at, fresh_until, fresh_until, fresh_until, fresh_until))
        early_from = fresh_until - _SURELY * self.eagerness * load_s
        if early_from < now:
            early_from = min(now, fresh_until)
        stale_s = self.stale_while_revalidate_s
        error_s = max(stale_s, self.stale_if_error_s)
        return _times((loaded_at, early_from, fresh_until, fresh_until + stale_s, fresh_until + error_s))


def is_due_early(now: float, fresh_until: float, load_s: float, eagerness: float, chance: float) -> bool:
    """Whether this caller is the one to fetch a value again that is still fresh.

    Args:
        now: The time.
        fresh_until: When it ends.
        load_s: How long its last fetch took.
        eagerness: 1 is the best for exponential arrivals; 0 never chooses.
        chance: A random number over 0 and up to 1.
    """
    return now - load_s * eagerness * math.log(chance) >= fresh_until if chance > 0.0 else eagerness * load_s > 0.0
