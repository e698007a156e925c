import pytest
from tests.doctor.patients import TEXT, configured, found, patient, running, unseen, whole

from tidegate.doctor.running import RunningUpstream

CHECKS = ("pool-shape", "pool-size", "pool-waiting", "blind-limits", "limits-above-learned", "confusable-peers")


def upstream(lines):
    """The configuration with these lines for its upstream."""
    return configured(TEXT.replace('limits = ["capacity"]', 'limits = ["capacity"]\n' + lines))


def measured(**counted):
    return running(upstreams={"orders": RunningUpstream(**counted)})


@pytest.mark.parametrize("check", CHECKS)
def test_an_upstream_that_is_well_has_nothing(check):
    assert found(patient(), check) == [] and unseen(patient(), check) == []


def test_the_pool_of_the_ports_incident():
    told = found(patient(gateway=upstream("pool = { max = 500, idle = 50, wait = 0 }")), "pool-shape")
    assert told == [
        ("warning", "upstreams.orders.pool.idle", "50 connections are kept, 500 may be opened"),
        ("warning", "upstreams.orders.pool.wait", "0: nobody waits for a connection"),
    ]


def test_pools_smaller_than_what_littles_law_predicts():
    small = upstream("pool = { max = 40, idle = 40 }")
    # 1,000 a second of 80 ms are 80 under way, 40 for each of two workers.
    full = patient(gateway=small, running=measured(exchanges_total=1_000_000, seconds_total=80_000.0))
    one = whole(full, "pool-size")
    assert (one.severity, one.subject) == ("serious", "upstreams.orders.pool.max")
    assert "1,000.0 requests a second of 80.0 ms keep 40.0 connections" in one.seen
    assert "max = 89, idle = 59" in one.mend
    # 32 of 40 on average: not always, but in peaks.
    peaks = patient(gateway=small, running=measured(exchanges_total=1_000_000, seconds_total=64_000.0))
    assert whole(peaks, "pool-size").severity == "warning"
    enough = patient(gateway=small, running=measured(exchanges_total=1_000_000, seconds_total=40_000.0))
    assert found(enough, "pool-size") == []


def test_who_waits_now_is_part_of_what_a_pool_needs():
    small = upstream("pool = { max = 40, idle = 40 }")
    counted = measured(exchanges_total=1_000_000, seconds_total=40_000.0, waiting=50)
    one = whole(patient(gateway=small, running=counted, earlier_running=counted), "pool-size")
    assert one.severity == "serious"
    assert "keep 45.0 connections" in one.seen and "the 50 that wait for one included" in one.seen


def test_what_is_now_counts_when_it_is_more_than_the_mean_of_a_long_life():
    small = upstream("pool = { max = 40, idle = 40 }")
    before = measured(exchanges_total=1000, seconds_total=10.0)
    now = running(uptime_s=1002.0, upstreams={"orders": RunningUpstream(exchanges_total=3000, seconds_total=210.0)})
    one = whole(patient(gateway=small, running=now, earlier_running=before), "pool-size")
    assert "1,000.0 requests a second of 100.0 ms" in one.seen


def test_few_exchanges_and_no_gateway_predict_nothing():
    few = patient(
        gateway=upstream("pool = { max = 1, idle = 1 }"), running=measured(exchanges_total=5, seconds_total=9e9)
    )
    assert found(few, "pool-size") == []
    assert unseen(patient(running=None), "pool-size")
    assert unseen(patient(running=None, gateway=None), "pool-size") == []


def test_requests_that_wait_for_a_connection():
    told = found(patient(running=measured(waiting=7, connections=512)), "pool-waiting")
    assert told == [("warning", "upstreams.orders.pool", "7 requests wait for one of 512 connections")]


def test_an_upstream_that_no_limit_watches():
    for text in (
        TEXT.replace('limits = ["capacity"]', ""),
        TEXT.replace('adaptive = "queue_delay"', 'rate = "100/s"'),
        TEXT.replace('adaptive = "queue_delay"', "concurrency = 9\ndry_run = true"),
    ):
        one = whole(patient(gateway=configured(text)), "blind-limits")
        assert (one.severity, one.incident, one.subject) == ("warning", "limiter", "upstreams.orders")
        assert "route orders" in one.seen
    on_the_route = TEXT.replace('limits = ["capacity"]', "") + 'limits = ["capacity"]\n'
    assert found(patient(gateway=configured(on_the_route)), "blind-limits") == []


def test_limits_above_what_the_upstream_has_shown_it_can_bear():
    text = TEXT.replace(
        "[upstreams.orders]", '[limits.fixed]\nconcurrency = 500\n[limits.rate]\nrate = "4000/s"\n[upstreams.orders]'
    )
    gateway = configured(text.replace('["capacity"]', '["capacity", "fixed", "rate"]'))
    served = {"orders": RunningUpstream(exchanges_total=1000, seconds_total=50.0)}
    facts = patient(gateway=gateway, running=running(learned={"capacity": 100}, upstreams=served))
    assert found(facts, "limits-above-learned") == [
        ("warning", "limits.fixed", "concurrency 500; capacity has learned that orders bears 100"),
        (
            "warning",
            "limits.rate",
            "rate 4000/s, which at 50 ms a request is 200 under way; capacity has learned that orders bears 100",
        ),
    ]
    enough = patient(gateway=gateway, running=running(learned={"capacity": 600}, upstreams=served))
    assert found(enough, "limits-above-learned") == []
    nothing_yet = patient(gateway=gateway, running=running(learned={}, upstreams=served))
    assert found(nothing_yet, "limits-above-learned") == []


def pair(second, first=""):
    """Two upstreams with one host."""
    return configured(
        TEXT + f'{first}\n[upstreams.other]\nlimits = ["capacity"]\n{second}\n'
        '[[routes]]\nname = "other"\npath = "/other"\nupstream = "other"\n'
    )


@pytest.mark.parametrize(
    ("second", "apart"),
    [
        ('endpoints = ["10.0.0.5:9002"]', "ports 9001 and 9002"),
        ('endpoints = ["10.0.0.5:9001"]\nsource_address = "10.0.0.1"', "source addresses any and 10.0.0.1"),
    ],
)
def test_upstreams_that_a_name_keyed_pool_would_have_mixed_up(second, apart):
    one = whole(patient(gateway=pair(second)), "confusable-peers")
    assert (one.severity, one.incident) == ("note", "crossed-pool")
    assert one.subject == "upstreams.orders, upstreams.other"
    assert one.seen == f"both lead to 10.0.0.5, with {apart}"


def test_tls_names_and_roots_are_part_of_a_peer():
    base = TEXT.replace('["10.0.0.5:9001"]', '["h:443"]\ntls = { name = "a.example" }')
    other = '\n[upstreams.other]\nlimits = ["capacity"]\nendpoints = ["H:443"]\ntls = {{ {} }}\n'
    route = '[[routes]]\nname = "other"\npath = "/other"\nupstream = "other"\n'
    for tls, apart in (
        ('name = "b.example"', "TLS names a.example and b.example"),
        ('name = "a.example", verify = false', "different certificates or roots"),
    ):
        gateway = configured(base + other.format(tls) + route)
        assert whole(patient(gateway=gateway), "confusable-peers").seen.endswith(apart)
    same = configured(base + other.format('name = "a.example"') + route)
    assert found(patient(gateway=same), "confusable-peers") == []


def test_one_port_with_tls_and_without_is_a_contradiction():
    one = whole(patient(gateway=pair('endpoints = ["10.0.0.5:9001"]\ntls = {}')), "confusable-peers")
    assert one.severity == "serious" and "TLS and without" in one.seen
    elsewhere = whole(patient(gateway=pair('endpoints = ["10.0.0.5:9443"]\ntls = {}')), "confusable-peers")
    assert elsewhere.severity == "note"


def test_another_host_is_another_host():
    assert found(patient(gateway=pair('endpoints = ["10.0.0.6:9002"]')), "confusable-peers") == []
