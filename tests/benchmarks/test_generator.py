"""Figures of the load generator: what arithmetic says of an upstream that is stopped now and then."""

import pytest
from benchmarks.generator import quantile_of_stops


def test_a_stop_of_a_second_in_ten_is_nine_tenths_at_p99():
    assert quantile_of_stops(0.99, [1.0] * 4, 40.0) == pytest.approx(0.9)
    assert quantile_of_stops(0.95, [1.0] * 4, 40.0) == pytest.approx(0.5)
    assert quantile_of_stops(0.999, [1.0] * 4, 40.0) == pytest.approx(0.99)
    assert quantile_of_stops(0.9, [1.0], 10.0) == pytest.approx(0.0, abs=1e-9)
    assert quantile_of_stops(0.99, [], 10.0) == 0.0


def test_it_is_what_counting_each_request_gives():
    stops = [(2.0, 0.7), (11.0, 1.2), (25.0, 0.4)]
    waits = []
    for number in range(300_000):
        due_s = number / 10_000
        waits.append(
            max((begin + length - due_s for begin, length in stops if begin <= due_s < begin + length), default=0)
        )
    waits.sort()
    for share in (0.95, 0.97, 0.99, 0.999):
        assert quantile_of_stops(share, [length for _, length in stops], 30.0) == pytest.approx(
            waits[int(share * len(waits))], abs=2e-4
        )
