"""What the figures of adaptive limits are made of."""

from benchmarks.trouble.adaptive import CAPACITY, ENDS_AT, HEALS_AT, SLOWS_AT, Row, configuration, scenario, verdicts
from benchmarks.trouble.arrivals import Stream

from tidegate.config.check import check_text
from tidegate.lab.sim.contenders import CONTENDERS
from tidegate.lab.sim.play import play


def stream(name: str, *seconds: tuple[int, int]) -> Stream:
    """Of each second: how many came, how many of these were served."""
    made = Stream(name, "/", lambda _: 1.0)
    for at, (came, served) in enumerate(seconds):
        made.came[at], made.kept[at], made.served[at] = came, served, served
    return made


def test_shares_and_recovery_are_those_of_the_seconds() -> None:
    one = stream("a", (10, 10), (10, 5), (10, 0), (10, 9), *[(10, 10)] * 4)
    assert one.share(0, 2) == 0.75
    assert one.goodput(1, 3) == 2.5
    assert one.recovered_s(2, 8) == 1
    assert one.recovered_s(0, 4) is None
    assert stream("nobody").share(0, 5) == 1.0


def test_every_nth_request_has_other_fields() -> None:
    one = Stream("a", "/x", lambda _: 1.0, fields="A: 1\r\n", nth=3, nth_fields="B: 2\r\n")
    heads = [one.head(number) for number in range(1, 7)]
    assert [b"B: 2" in head for head in heads] == [False, False, True] * 2
    assert heads[0] == b"GET /x HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n"


def test_simulated_part_is_the_one_that_is_measured() -> None:
    plan = scenario()
    assert (plan.seconds, plan.trouble) == (ENDS_AT, (SLOWS_AT, HEALS_AT))
    assert plan.backend.capacity_at(SLOWS_AT + 1) == CAPACITY
    assert plan.backend.latency_at(HEALS_AT + 1) == 50


def test_configuration_has_a_limit_for_each_contender_but_none() -> None:
    ports = {name: 9000 + at for at, name in enumerate((*CONTENDERS, "triple", "light", "busy", "cache"))}
    text = '[server]\nfilter_packages = ["tidegate"]\n[[listeners]]\nbind = "127.0.0.1:8080"\n' + configuration(ports)
    snapshot, findings = check_text(text)
    assert snapshot is not None, findings
    limits = snapshot.gateway.limits
    assert limits.keys() == ports.keys() - {"none"}
    assert {name for name, limit in limits.items() if limit.adaptive is None} == {"fixed"}
    assert snapshot.gateway.upstreams["none"].limits == ()


def test_verdicts_are_of_the_default() -> None:
    simulated = play(scenario(), "fixed").summary()
    rows = [
        Row("queue_delay", 0.95, 1200.0, (49, 100), 2, simulated),
        Row("none", 0.3, 9000.0, None, None, simulated),
    ]
    tripled = {"critical": stream("critical", *[(120, 120)] * 30), "batch": stream("batch", *[(480, 140)] * 30)}
    healthy = {name: stream(name, *[(80, 79)] * 20) for name in ("light", "busy")}
    found = verdicts(rows, tripled, healthy, 100, 100)
    assert [one.met for one in found] == [True] * 7
    assert [one.met for one in verdicts(rows, tripled, healthy, 100, 110)] == [True] * 6 + [False]
    assert rows[1].row()["healed after s"] == "not"
    assert rows[0].row()["from, to"] == "49 to 100"
