"""The guards around every algorithm, and what the gateway shows."""

import msgspec
import pytest
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.algorithm import Algorithm, Why
from tidegate.limits.adaptive.catalogue import ALGORITHMS, make
from tidegate.limits.adaptive.controller import Controller


class Doubler(Algorithm):
    """Wants twice as much, whatever happens."""

    name = "doubler"
    factor = 2.0

    def update(self, interval):
        self.limit *= self.factor
        return Why.DROPS if interval.drops else Why.SHORT_QUEUE


class Halver(Doubler):
    """Wants half."""

    name = "halver"
    factor = 0.5


def test_growth_and_decrease_are_the_algorithms():
    decision = Controller(Doubler(100)).decide(interval())
    assert (decision.limit, decision.before, decision.why, decision.at_ns) == (200, 100, Why.SHORT_QUEUE, S)
    assert decision.has_changed
    assert Controller(Halver(100)).decide(interval()).limit == 50


def test_floor_and_ceiling_hold():
    for controller, limit, why in (
        (Controller(Doubler(100), ceiling=150), 150, Why.AT_CEILING),
        (Controller(Halver(100), floor=70), 70, Why.AT_FLOOR),
    ):
        decision = controller.decide(interval())
        assert (decision.limit, decision.why) == (limit, why)
    assert Controller(Doubler(5)).limit == 10, "the first limit as well"
    assert Controller(Doubler(10**9)).limit == 10_000


def test_a_limit_that_is_not_used_neither_grows_nor_falls():
    controller = Controller(Doubler(100))
    decision = controller.decide(interval(in_flight=49))
    assert (decision.limit, decision.why) == (100, Why.APPLICATION_LIMITED)
    assert not decision.has_changed
    assert controller.decide(interval(in_flight=50)).limit == 200
    held = Controller(Halver(100)).decide(interval(in_flight=19))
    assert (held.limit, held.why) == (100, Why.APPLICATION_LIMITED), "they did not wait for each other"
    assert Controller(Halver(100)).decide(interval(in_flight=30)).limit == 60, "it stays twice what was under way"
    assert Controller(Halver(100)).decide(interval(in_flight=50)).limit == 50
    assert Controller(Halver(100)).decide(interval(in_flight=1, drops=20)).limit == 50, "but drops are drops"


def test_samples_from_before_the_last_change_are_ignored():
    controller = Controller(Doubler(100))
    assert controller.decide(interval(10)).limit == 200
    stale = controller.decide(interval(11, in_flight=200, started_ns=10 * S - 1))
    assert (stale.limit, stale.why) == (200, Why.STALE)
    assert controller.decide(interval(11, in_flight=200, started_ns=10 * S)).limit == 400


def test_no_samples_no_decision():
    assert Controller(Doubler(100)).decide(interval(count=0)).why is Why.NO_SAMPLES


def test_overload_never_grows_whatever_the_algorithm_says():
    decision = Controller(Doubler(100)).decide(interval(drops=2))
    assert (decision.limit, decision.why) == (90, Why.DROPS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_time_outs_narrow_every_algorithm(name):
    controller = Controller(make(name, initial=100))
    for at in range(1, 4):
        assert controller.decide(interval(at, in_flight=100, count=4000, drops=1200)).limit < 100
    assert controller.statistics().why is Why.DROPS


@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_drop_in_a_hundred_is_life(name):
    controller = Controller(make(name, initial=100))
    for at in range(1, 50):
        controller.decide(interval(at, in_flight=int(controller.limit), drops=1))
    assert controller.limit >= 100


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_held_while_its_limit_is_not_used(name):
    controller = Controller(make(name, initial=100))
    for at in range(1, 200):
        controller.decide(interval(at, in_flight=10))
    assert controller.limit <= 100


# -- single samples ----------------------------------------------------------------------------------------------------


def observe(controller, number, at_ns, latency_ns=50 * MS, in_flight=100, **more):
    for _ in range(number):
        controller.observe(at_ns, latency_ns, in_flight, **more)


def test_an_interval_is_a_second_with_twenty_samples():
    controller = Controller(Doubler(100))
    observe(controller, 19, 0)
    assert controller.turn(S) is None
    observe(controller, 1, 0)
    assert controller.turn(S - 1) is None
    assert controller.turn(S).limit == 200


def test_with_many_samples_it_is_over_sooner_but_not_at_once():
    controller = Controller(Doubler(100), samples=500, shortest_ns=100 * MS)
    observe(controller, 500, 0)
    assert controller.turn(99 * MS) is None
    assert controller.turn(100 * MS).limit == 200


def test_an_interval_is_longer_than_answers_take():
    controller = Controller(make(initial=100))
    for at in (1, 2):
        observe(controller, 50, (at - 1) * S, 800 * MS, in_flight=10)
        assert (controller.turn(at * S) is not None) is (at == 1), "what answers take was not known at first"
    assert controller.turn(3 * S - 100 * MS) is None
    assert controller.turn(3 * S + 500 * MS).why is Why.APPLICATION_LIMITED


def test_requests_that_began_before_the_change_are_not_counted():
    controller = Controller(Doubler(100), samples_min=1)
    observe(controller, 1, 0)
    controller.turn(S)
    assert controller.changed_ns == S
    observe(controller, 50, S - 1)
    assert controller.turn(3 * S) is None
    observe(controller, 1, S)
    assert controller.turn(3 * S).why is Why.SHORT_QUEUE


def test_measured_waiting_reaches_the_algorithm():
    controller = Controller(samples_min=1)
    observe(controller, 20, 0, waiting_ns=100 * MS)
    controller.turn(S)
    assert controller.statistics().queue_delay_ns == pytest.approx(100 * MS, rel=0.13)
    assert controller.limit < 100


# -- what it knows -----------------------------------------------------------------------------------------------------


def test_statistics_tell_where_it_stands_and_why():
    controller = Controller(suggest=True)
    assert controller.statistics().why is Why.NOTHING_YET
    controller.decide(interval(10, 50, in_flight=80))
    controller.decide(interval(12, 120, in_flight=110))
    seen = controller.statistics()
    assert (seen.algorithm, seen.limit, seen.in_flight) == ("queue_delay", 78, 110)
    assert (seen.queue_delay_ns, seen.floor_ns, seen.target_ns) == (70 * MS, 50 * MS, 25 * MS)
    assert (seen.why, seen.changed_from, seen.changed_ns, seen.decisions) == (Why.LONG_QUEUE, 110, 12 * S, 2)
    assert seen.suggested == 100
    assert msgspec.json.decode(msgspec.json.encode(seen))["why"] == "long_queue"
    with pytest.raises(AttributeError):
        seen.limit = 1
    assert repr(controller) == "<Controller queue_delay 78 (long_queue)>"


def test_a_bound_is_suggested_from_healthy_peaks_only():
    controller = Controller(Doubler(100), suggest=True)
    controller.decide(interval(1, in_flight=40))
    assert controller.statistics().suggested == 50, "although less than half the limit was used"
    controller.decide(interval(2, in_flight=80))
    controller.decide(interval(3, in_flight=4000, drops=50))
    assert controller.statistics().suggested == 100
    controller = Controller(Halver(100), suggest=True)
    controller.decide(interval(1, in_flight=80))
    assert controller.statistics().suggested is None
    assert Controller().statistics().suggested is None


def test_learned_limit_survives_a_restart():
    before = Controller(suggest=True)
    for at in range(1, 20):
        before.decide(interval(at, 50, in_flight=before.limit))
    learned = msgspec.json.decode(msgspec.json.encode(before.export(20 * S)))
    after = Controller(suggest=True)
    after.restore(learned, 5 * S)
    assert after.limit == before.limit > 200
    assert after.statistics().why is Why.RESTORED
    assert after.statistics().floor_ns == 50 * MS
    assert after.statistics().suggested == before.statistics().suggested


def test_who_decides_next_knows_what_is_stale():
    before, after = Controller(Doubler(100)), Controller(Doubler(100))
    before.decide(interval(10))
    after.restore(before.export(11 * S), 11 * S)
    assert after.changed_ns == 10 * S
    assert after.decide(interval(12, in_flight=200, started_ns=10 * S - 1)).why is Why.STALE
    assert after.decide(interval(12, in_flight=200, started_ns=10 * S)).limit == 400


def test_first_interval_begins_when_the_limit_does():
    controller = Controller(Doubler(100), now_ns=1000 * S)
    observe(controller, 20, 1000 * S)
    assert controller.turn(1000 * S + 500 * MS) is None
    assert controller.turn(1001 * S).limit == 200


def test_restored_limit_keeps_to_the_bounds_of_now():
    controller = Controller(ceiling=50)
    controller.restore({"limit": 4000.0, "peak_0": 1e12}, 0)
    assert controller.limit == 50
