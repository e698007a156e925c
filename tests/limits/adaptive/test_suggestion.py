"""A bound that is learned from healthy peaks."""

from tests.limits.adaptive.intervals import S

from tidegate.limits.adaptive.suggestion import Suggestion

HOUR = 3600 * S


def test_nothing_is_suggested_before_traffic():
    assert Suggestion().bound is None
    assert Suggestion().peak == 0


def test_highest_peak_and_a_quarter():
    suggestion = Suggestion()
    for at, in_flight in ((0, 40), (1, 80), (2, 60), (HOUR, 30)):
        suggestion.take(at, in_flight)
    assert suggestion.peak == 80
    assert suggestion.bound == 100
    assert "2 hours" in repr(suggestion)


def test_a_peak_is_forgotten_after_a_day_with_traffic():
    suggestion = Suggestion(hours=24)
    suggestion.take(0, 1000)
    for hour in range(1, 24):
        suggestion.take(hour * HOUR, 40)
    assert suggestion.peak == 1000
    suggestion.take(24 * HOUR, 40)
    assert suggestion.peak == 40
