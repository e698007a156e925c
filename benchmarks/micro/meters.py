"""Nanoseconds to count one finished exchange: status class, bytes, duration, one histogram bucket."""

from tidegate.memory.region import Region

_METERS = Region.create(1, series=64).slot(0).take_meters()
_SERIES = [_METERS.series_index("route", f"route {i}") for i in range(64)]


def one_series(n: int) -> None:
    _METERS.record_exchange(_SERIES[0], 200, 412_345, 0, 512, n)


def many_series(n: int) -> int:
    each = n // 64 + 1
    for series in _SERIES:
        _METERS.record_exchange(series, 200, 412_345, 0, 512, each)
    return each * 64


CASES = {"one series": one_series, "64 series in turn": many_series}
