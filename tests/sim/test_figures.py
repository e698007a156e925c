"""The figures of adaptive limits, in virtual time and seeded: the same on every machine that adds alike."""

from functools import cache

import pytest
from msgspec.structs import replace

from tidegate.lab.sim.contenders import CONTENDERS
from tidegate.lab.sim.outcome import Outcome
from tidegate.lab.sim.play import play
from tidegate.lab.sim.scenario import BackendChange, Scenario, Stream, shipped
from tidegate.limits.adaptive.catalogue import ALGORITHMS
from tidegate.limits.adaptive.controller import Controller
from tidegate.limits.adaptive.interval import Interval

SCENARIOS = shipped()
SLOW = SCENARIOS["slow_backend"]
SEEDS = [1, 2, 3]


@cache
def played(name: str, contender: str = "queue_delay", seed: int = 1) -> Outcome:
    return play(replace(SCENARIOS[name], seed=seed), contender)


def slow(**backend: object) -> Scenario:
    return replace(SLOW, backend=replace(SLOW.backend, **backend))


# -- the backend slows from 50 to 800 ms -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_goodput_is_nine_tenths_of_what_a_slow_backend_can_do(seed):
    outcome = played("slow_backend", seed=seed)
    assert outcome.scenario.backend.capacity_at(60) == 80
    assert outcome.goodput_share(30, 90) >= 0.9
    assert sum(one.timed_out for one in outcome.seconds) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_queue_delay_of_a_slow_backend_is_near_its_target(seed):
    outcome = played("slow_backend", seed=seed)
    targets = sorted(one.target_ms for one in outcome.seconds[45:90])
    target_ms = targets[len(targets) // 2]
    assert 300 <= target_ms <= 550, "half of what an answer takes"
    assert 0.5 * target_ms <= outcome.queue_delay_ms(45, 90) <= 1.25 * target_ms
    assert outcome.queue_delay_ms(45, 90, 0.95) <= 1.6 * target_ms


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_is_served_within_10_s_after_it_heals(seed):
    outcome = played("slow_backend", seed=seed)
    assert outcome.recovered_s(90) <= 10
    assert outcome.served_share(100) == 1.0
    assert outcome.seconds[-1].target_ms < 40, "it knows again what an answer takes"


@pytest.mark.parametrize(
    ("backend", "least"),
    [
        ({"servers": 128}, 0.9),  # slower, but enough for all: the limit has to leave room for 80
        ({"servers": 20}, 0.9),
        ({"law": "exponential"}, 0.65),  # see below: it takes more than a minute to see what is slow
        ({"law": "lognormal", "spread": 0.6}, 0.85),
        ({"reports_waiting": True}, 0.9),
    ],
    ids=str,
)
def test_it_holds_for_other_backends(backend, least):
    outcome = play(slow(**backend))
    assert outcome.goodput_share(30, 90) >= least
    assert outcome.recovered_s(90) <= 10


def test_a_limit_far_too_high_is_found_out():
    outcome = play(replace(SLOW, initial_limit=1000))
    assert outcome.goodput_share(30, 90) >= 0.9
    assert outcome.queue_delay_ms(60, 90) <= 700, "as soon as a fifth of it is in use it is cut, and cut again"


@pytest.mark.parametrize("servers", [20, 64, 75])
def test_neither_floor_nor_queue_creeps_in_five_minutes_of_overload(servers):
    """Four times too much, a quarter too much, and 7 % too much: that one crept while cuts were judged by the limit."""
    outcome = play(replace(slow(servers=servers, changes=(BackendChange(30, 800),)), seconds=330))
    late = outcome.seconds[300:330]
    assert 350 <= min(one.target_ms for one in late) <= max(one.target_ms for one in late) <= 480
    assert outcome.queue_delay_ms(300, 330) <= 550
    assert outcome.goodput_share(60, 330) >= 0.95


@pytest.mark.parametrize("law", ["exponential", "lognormal"])
def test_uneven_answers_that_are_slow_are_seen_in_the_end(law):
    outcome = play(replace(slow(law=law, spread=0.6, changes=(BackendChange(30, 800),)), seconds=330))
    assert outcome.goodput_share(90, 330) >= 0.85
    assert outcome.queue_delay_ms(90, 330) <= 600


def test_a_backend_that_slows_bit_by_bit_is_no_worse_than_with_a_fixed_limit():
    default, fixed = played("creeping_backend"), played("creeping_backend", "fixed")
    assert default.goodput_share(30, 90) >= fixed.goodput_share(30, 90) - 0.02
    assert default.seconds[85].limit > 2 * min(one.limit for one in default.seconds[30:90]), "it is on its way up"
    assert default.recovered_s(90) <= 10


def test_a_gateway_that_restarts_in_the_middle_does_not_start_naked():
    (stream, _) = SCENARIOS["triple"].streams
    overload = replace(SCENARIOS["triple"], seconds=20, trouble=None, streams=(replace(stream, per_s=600, changes=()),))
    before, after = Controller(), Controller()
    play(overload, limit=before)
    after.restore(before.export(20_000_000_000), 0)
    naked, dressed = play(overload, limit=Controller()), play(overload, limit=after)
    assert max(one.queue_delay_ms for one in dressed.seconds[:5]) <= 120
    assert max(one.queue_delay_ms for one in naked.seconds[:5]) >= 250
    assert dressed.goodput_share(0, 20) >= 0.95


def test_waiting_for_a_permit_would_be_a_signal_that_feeds_itself():
    """Why waiting is what happens behind the limit: in front of it wait 500, and the longer the fewer are let in."""
    limit = Controller()
    for at in range(1, 60):
        waiting_ns = 50_000_000 * 500 // limit.limit
        limit.decide(
            Interval(
                started_ns=at * 10**9,
                ended_ns=(at + 1) * 10**9,
                duration_ns=10**9,
                count=100,
                in_flight_max=limit.limit,
                in_flight_mean=limit.limit,
                latency_min_ns=50_000_000,
                latency_mean_ns=50_000_000,
                latency_p90_ns=50_000_000,
                waiting_p90_ns=waiting_ns,
            )
        )
    assert limit.limit == 10


# -- three times the load ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_critical_requests_are_served_at_three_times_the_load(seed):
    outcome = played("triple", seed=seed)
    assert outcome.served_share(30, 90, "critical") >= 0.999
    assert outcome.goodput_share(30, 90) >= 0.9
    assert outcome.queue_delay_ms(45, 90) <= 2 * outcome.seconds[60].target_ms
    assert outcome.recovered_s(90) <= 10


# -- nothing is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["healthy_light", "healthy_busy", "uneven"])
def test_a_healthy_backend_is_left_alone(name, seed):
    outcome = played(name, seed=seed)
    assert outcome.served_share() >= 0.95
    assert sum(one.refused for one in outcome.seconds) == 0


@pytest.mark.parametrize("contender", ALGORITHMS)
def test_answers_from_the_cache_change_no_limit(contender):
    outcome = played("cache", contender)
    assert {one.limit for one in outcome.seconds} == {100}
    assert outcome.served_share() == 1.0


def test_a_hundred_times_the_cache_hits_are_the_same_to_the_limit():
    scenario = replace(SCENARIOS["cache"], seconds=20, initial_limit=10)
    (stream,) = scenario.streams
    without = play(replace(scenario, streams=(replace(stream, per_s=20, cached_share=0.0),)))
    hits = play(replace(scenario, streams=(replace(stream, per_s=2000, cached_share=0.99),)))
    assert without.seconds[-1].limit == hits.seconds[-1].limit


def test_a_limit_that_is_too_low_finds_up():
    """Much traffic is much to see: a backend that bears 300 at once, and a limit of 100 that doubles within seconds."""
    scenario = replace(
        SLOW,
        seconds=15,
        streams=(Stream(per_s=3000),),
        backend=replace(SLOW.backend, servers=300, changes=()),
    )
    outcome = play(scenario)
    assert outcome.seconds[5].limit >= 200
    assert outcome.goodput_share(5, 15) >= 0.97


# -- each algorithm beside a fixed limit and none ----------------------------------------------------------------------

KEEP_UP = {"queue_delay", "vegas", "aimd", "envoy", "pid"}
FALL_BEHIND = {
    "gradient": "its least latency is that of the quick backend, so it divides by 800 ms until it measures anew",
    "gradient2": "its long average forgets the quick backend too slowly for a minute",
    "bbr": "rate times least latency is that of the quick backend: it starts again from the floor",
    "fixed": "20 was plenty at 50 ms and is a quarter of what 800 ms need",
    "none": "all wait until their time is up, and the backend works for nobody",
}
LONG_QUEUES = {
    "aimd": "nothing is a queue to it that is shorter than the time-out",
    "none": "nothing holds them back",
}


@pytest.mark.parametrize("contender", CONTENDERS)
def test_each_limit_keeps_up_with_a_slow_backend_or_is_known_not_to(contender):
    goodput = played("slow_backend", contender).goodput_share(30, 90)
    if contender in KEEP_UP:
        assert goodput >= 0.9
    else:
        assert goodput < 0.7, FALL_BEHIND[contender]


@pytest.mark.parametrize("contender", CONTENDERS)
def test_each_limit_keeps_the_queue_short_or_is_known_not_to(contender):
    delay_ms = played("slow_backend", contender).queue_delay_ms(45, 90)
    if contender in LONG_QUEUES:
        assert delay_ms > 700, LONG_QUEUES[contender]
    else:
        assert delay_ms < 500


@pytest.mark.parametrize("name", ["slow_backend", "triple", "bursts", "day"])
def test_the_default_is_never_worse_than_what_somebody_would_have_set(name):
    default, fixed = played(name), played(name, "fixed")
    begin_s, end_s = default.scenario.trouble or (0, default.scenario.seconds)
    assert default.goodput_share(begin_s, end_s) >= fixed.goodput_share(begin_s, end_s) - 0.02
