"""Windows of single samples. That they close when the library's do is in the tests of the four algorithms."""

from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.algorithm import Algorithm, Why
from tidegate.limits.adaptive.interval import Interval
from tidegate.limits.adaptive.windowed import Windowed


class Witness(Algorithm):
    """Keeps what it is shown."""

    name = "witness"

    def __init__(self):
        super().__init__(10)
        self.seen = []

    def update(self, interval):
        self.seen.append(interval)
        return Why.SHORT_QUEUE


def fed(samples, **options):
    witness = Witness()
    windowed = Windowed(witness, **options)
    whys = [windowed.update(Interval.one(at, took, flying, was_dropped=drop)) for at, took, flying, drop in samples]
    return witness.seen, whys


def test_a_window_is_handed_on_as_one():
    samples = [(0, 10 * MS, 3, False)] + [(at * 100 * MS, at * MS, at, at == 7) for at in range(1, 12)]
    (window,), whys = fed(samples)
    assert (window.count, window.drops, window.in_flight_max) == (11, 1, 11)
    assert window.latency_min_ns == 1 * MS
    assert window.latency_mean_ns == 6 * MS
    assert whys[-1] is Why.SHORT_QUEUE
    assert set(whys[1:-1]) == {Why.STEADY}


def test_percentile_stands_for_the_window():
    samples = [(0, 10 * MS, 3, False)] + [(at * 100 * MS, at * MS, at, False) for at in range(1, 12)]
    (window,), _ = fed(samples, percentile=0.5)
    assert window.latency_mean_ns == 6 * MS
    (window,), _ = fed(samples, percentile=0.9)
    assert window.latency_mean_ns == 10 * MS


def test_too_few_samples_and_answers_without_work_teach_nothing():
    seen, whys = fed([(at * 2 * S, 10 * MS, 1, False) for at in range(20)])
    assert seen == []
    assert set(whys) == {Why.NO_SAMPLES}
    seen, whys = fed([(at * MS, 50_000, 1, False) for at in range(5000)])
    assert seen == []
    assert set(whys) == {Why.NO_SAMPLES}


def test_it_shows_and_sets_the_limit_of_its_algorithm():
    witness = Witness()
    windowed = Windowed(witness)
    windowed.limit = 20.0
    assert witness.limit == 20.0
    assert windowed.limit == 20.0
    windowed.restore({"limit": 30.0}, S)
    assert windowed.export(S) == {"limit": 30.0}
    assert windowed.unqueued_ns == 0
    assert (windowed.floor_ns, windowed.target_ns, windowed.queue_delay_ns) == (0, 0, 0)


def test_intervals_count_by_their_requests():
    witness = Witness()
    windowed = Windowed(witness, samples=150, percentile=0.5)
    windowed.update(interval(1, 10))
    for at, latency in ((1.4, 10), (1.6, 20), (1.9, 30)):
        assert windowed.update(interval(at, latency)) is Why.STEADY
    assert windowed.update(interval(2.2, 40)) is Why.SHORT_QUEUE
    (window,) = witness.seen
    assert (window.count, window.latency_min_ns, window.latency_mean_ns) == (400, 10 * MS, 20 * MS)
    # Only drops: nothing is known of how long they took, and they count all the same.
    for at in (4, 5, 6):
        windowed.update(interval(at, 0, drops=100))
    assert witness.seen[-1].drops >= 200


def test_a_window_goes_on_with_the_next_worker():
    one, other = Witness(), Witness()
    windowed = Windowed(one, samples=10)
    windowed.update(interval(1, 10))
    for at in range(20):
        windowed.update(interval(1.1 + at / 100, 10 + at))
    after = Windowed(other, samples=10)
    after.restore(windowed.export(round(1.5 * S)), round(1.5 * S))
    windowed.update(interval(2.5, 50))
    after.update(interval(2.5, 50))
    alone, (second,) = one.seen[-1], other.seen
    assert second.count == alone.count == 2100
    assert second.latency_mean_ns == alone.latency_mean_ns
    assert (second.latency_min_ns, second.in_flight_max) == (10 * MS, 100)
    assert second.started_ns == alone.started_ns
