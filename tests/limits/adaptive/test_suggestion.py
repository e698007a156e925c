"""A bound that is learned from healthy peaks."""

from tests.limits.adaptive.intervals import S

from tidegate.limits.adaptive.suggestion import Suggestion

HOUR = 3600 * S


def test_nothing_is_suggested_before_traffic():
    assert Suggestion().bound is None


def test_highest_peak_and_a_quarter():
    suggestion = Suggestion()
    for at, in_flight in ((0, 40), (1, 80), (2, 60), (HOUR, 30)):
        suggestion.take(at, in_flight)
    assert suggestion.bound == 100
    assert "2 hours" in repr(suggestion)


def test_a_peak_is_forgotten_after_a_day_with_traffic():
    suggestion = Suggestion(hours=24)
    suggestion.take(0, 1000)
    for hour in range(1, 24):
        suggestion.take(hour * HOUR, 40)
    assert suggestion.bound == 1250
    suggestion.take(24 * HOUR, 40)
    assert suggestion.bound == 50


def test_what_is_kept_over_a_restart_ages_as_before():
    suggestion = Suggestion()
    for hour, peak in ((0, 1000), (20, 40), (23, 80)):
        suggestion.take(hour * HOUR, peak)
    # Another machine's clock, on which it is the hundredth hour.
    after = Suggestion()
    after.restore(suggestion.export(23 * HOUR), 100 * HOUR, 10_000)
    assert after.bound == 1250
    for hour in range(101, 124):
        after.take(hour * HOUR, 10)
    assert after.bound == 100, "of the day before, the 1000 were first to go"
    after.restore({"peak_1": 5000.0, "peak_2": float("nan"), "peak_3": 8.0}, 200 * HOUR, 4000)
    assert after.bound == 10, "neither what is over the ceiling nor what is no number"
