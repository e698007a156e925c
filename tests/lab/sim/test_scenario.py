"""Scenarios as data."""

import msgspec
import pytest

from tidegate.lab.sim.scenario import BackendChange, BackendPlan, Burst, RateChange, Scenario, Stream, load, shipped


def test_those_that_ship_are_read_and_make_sense():
    scenarios = shipped()
    assert {"slow_backend", "triple", "healthy_light", "healthy_busy", "cache"} <= set(scenarios)
    for scenario in scenarios.values():
        assert scenario.title and scenario.lesson
        begin_s, end_s = scenario.trouble or (0, scenario.seconds)
        assert 0 <= begin_s < end_s <= scenario.seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1", "object"),
        ("[a]\ntitel = 'x'", "titel"),
        ("[a", "table declaration"),
        ("[a]\ntitle='t'\nlesson='l'\nseconds='x'\n", "int"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(text, said):
    with pytest.raises(ValueError, match=said):
        load(text)


def test_a_file_of_ones_own(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        "[mine]\ntitle = 't'\nlesson = 'l'\nseconds = 5\nfixed_limit = 3\nstreams = [{ per_s = 7 }]\n"
        "backend = { servers = 2, latency_ms = 10 }\n"
    )
    assert shipped(file)["mine"].streams == (Stream(per_s=7),)


def test_rate_steps_swings_and_bursts():
    stream = Stream(per_s=10, changes=(RateChange(5, 30), RateChange(8, 20)))
    assert [stream.rate_at(at) for at in (0, 4.9, 5, 7.9, 8)] == [10, 10, 30, 30, 20]
    assert stream.greatest_rate == 30
    stream = Stream(per_s=10, swing=0.5, day_s=40)
    assert [stream.rate_at(at) for at in (0, 10, 30)] == pytest.approx([10, 15, 5])
    assert stream.greatest_rate == 15
    stream = Stream(per_s=10, burst=Burst(every_s=10, lasts_s=2, factor=4))
    assert [stream.rate_at(at) for at in (0, 1, 9, 10, 11.9, 12, 20)] == [10, 10, 10, 40, 40, 10, 40]
    assert stream.greatest_rate == 40


def test_capacity_follows_latency():
    plan = BackendPlan(servers=64, latency_ms=50, changes=(BackendChange(30, 800), BackendChange(90, 50)))
    assert [plan.capacity_at(at) for at in (0, 30, 89, 90)] == [1280, 80, 80, 1280]


def test_the_cache_asks_nothing_of_the_backend():
    scenario = shipped()["cache"]
    assert scenario.demand_at(10) == pytest.approx(20)
    whole = msgspec.structs.replace(scenario, streams=(msgspec.structs.replace(scenario.streams[0], cached_share=0.0),))
    assert isinstance(whole, Scenario)
    assert whole.demand_at(10) == pytest.approx(400)
