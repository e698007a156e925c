"""Nanoseconds that a load's bookkeeping takes for a request: when the next is due, which it is, its latency counted.

Each is called from Python here, which makes a number or a list entry of every one; the driver of a load does not.
"""

import itertools

from tidegate.bench.histogram import Histogram
from tidegate.bench.requests import Requests
from tidegate.bench.schedule import Schedule

_HOUR_S = 3600.0
_RATE = 1e6
_HISTOGRAM = Histogram()
_REQUESTS = Requests([b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(1000)])


def _due(n: int, *, is_poisson: bool, last: float) -> int:
    return len(Schedule([(_HOUR_S, _RATE, last)], is_poisson=is_poisson).take(n))


CASES = {
    "count a latency": lambda n: _HISTOGRAM.add_many(itertools.repeat(412_345, n)),
    "next of a constant rate": lambda n: _due(n, is_poisson=False, last=_RATE),
    "next of a ramp": lambda n: _due(n, is_poisson=False, last=2 * _RATE),
    "next of a Poisson process": lambda n: _due(n, is_poisson=True, last=_RATE),
    "next request": lambda n: len(_REQUESTS.take(n)),
}
