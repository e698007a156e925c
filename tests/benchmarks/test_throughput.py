from collections.abc import Sequence

from benchmarks.contenders import Contender
from benchmarks.goals import Verdict
from benchmarks.ground import Session
from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.rounds import Round
from benchmarks.scenarios.throughput import Goal, Throughput


def never(_session: Session, _contender: Contender, _seconds: float, _meter: Meter) -> Report:
    raise NotImplementedError


def judged(goal: Goal, *rounds: Round, absent: dict[str, str] | None = None) -> Sequence[Verdict]:
    scenario = Throughput("s", "t", never, ("nginx", "tidegate"), goals=(goal,))
    names = list(dict.fromkeys(r.contender for r in rounds))
    return scenario.conclude(rounds, names, {}, absent or {}).verdicts


def a_round(contender: str, rate: int, cpu_us: float, cpu_busy: float = 1.0, load_busy: float = 0.5) -> Round:
    return Round(contender, 0, rate, 1.0, 0, cpu_us, cpu_busy, load_busy)


def test_rate_and_cost_are_judged_against_the_other() -> None:
    verdicts = judged(Goal("nginx", rate=1.05, cpu=0.9), a_round("nginx", 100, 10.0), a_round("tidegate", 120, 9.5))
    assert [v.met for v in verdicts] == [True, False]
    assert [round(v.reached or 0, 3) for v in verdicts] == [1.2, 0.95]


def test_cpu_decides_when_the_load_core_held_the_faster_one_back() -> None:
    held_back = a_round("tidegate", 110, 5.0, cpu_busy=0.6, load_busy=0.99)
    (verdict,) = judged(Goal("nginx", rate=1.5), a_round("nginx", 100, 10.0), held_back)
    assert verdict.met
    assert verdict.reached == 2.0
    assert "by requests/s 1.1" in verdict.note


def test_cpu_decides_when_a_full_load_core_would_flatter() -> None:
    nginx = a_round("nginx", 100, 5.0, cpu_busy=0.6, load_busy=0.99)
    (verdict,) = judged(Goal("nginx", rate=0.88), nginx, a_round("tidegate", 95, 10.0))
    assert verdict.met is False
    assert verdict.reached == 0.5


def test_who_could_not_start_leaves_the_demand_unmeasured() -> None:
    (verdict,) = judged(Goal("nginx", rate=1.0), a_round("nginx", 100, 10.0), absent={"tidegate": "not built"})
    assert verdict.met is None


def test_what_the_command_line_left_out_is_not_demanded() -> None:
    assert judged(Goal("envoy", rate=3.0), a_round("nginx", 100, 10.0), a_round("tidegate", 100, 9.0)) == []


def test_a_contender_without_a_valid_round_is_named_with_its_complaint() -> None:
    failed = Round("tidegate", 0, 100, 1.0, 7, 1.0, 1.0, 0.5, complaint="answered HTTP/1.1 502")
    scenario = Throughput("s", "t", never, ("nginx", "tidegate"))
    result = scenario.conclude([a_round("nginx", 100, 10.0), failed], ["nginx", "tidegate"], {}, {})
    assert [row["contender"] for row in result.rows] == ["nginx"]
    assert result.notes == ["tidegate has no valid round: answered HTTP/1.1 502"]
