import pytest
from benchmarks.rounds import Round, best_third, order, paired_ratio, standing
from hypothesis import given
from hypothesis import strategies as st


def played(contender: str, rotation: int, requests: int, cpu_us: float = 5.0, errors: int = 0, **more: float) -> Round:
    return Round(
        contender, rotation, requests, 1.0, errors, cpu_us, more.get("cpu_busy", 1.0), more.get("load_busy", 0.5)
    )


def test_best_third_is_blind_to_the_slow_state() -> None:
    best = best_third([50, 100, 52, 101, 51, 102, 49, 50, 51])
    assert (best.value, best.low, best.high, best.count) == (101, 100, 102, 3)
    assert best.spread == pytest.approx(1 / 101)


def test_best_third_of_costs_takes_the_lowest() -> None:
    assert best_third([9.0, 5.0, 4.0, 8.0, 9.0, 9.0], highest=False).value == 4.5


def test_no_round_is_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="no valid round"):
        best_third([])


@given(st.lists(st.floats(1, 1e9), min_size=1))
def test_best_third_lies_among_the_values(values: list[float]) -> None:
    best = best_third(values)
    assert best.low <= best.value <= best.high == max(values)
    assert 3 * best.count >= len(values) > 3 * (best.count - 1)


def test_rounds_with_errors_are_counted_and_not_used() -> None:
    rounds = [played("a", 0, 100), played("a", 1, 900, errors=1), played("b", 0, 5)]
    own = standing("a", rounds)
    assert own is not None
    assert (own.rate.value, own.valid, own.invalid) == (100, 1, 1)


def test_only_failures_give_no_standing() -> None:
    assert standing("a", [played("a", 0, 10, errors=3), played("a", 1, 0)]) is None


def test_nobody_without_processes_has_a_cost() -> None:
    own = standing("direct", [played("direct", 0, 10, cpu_us=0.0)])
    assert own is not None
    assert own.cpu_us is None


@pytest.mark.parametrize(("cpu", "load", "bound"), [(0.8, 0.99, True), (0.99, 0.99, False), (0.8, 0.9, False)])
def test_load_bound_means_the_load_core_was_full_and_the_contender_was_not(
    cpu: float, load: float, bound: bool
) -> None:
    own = standing("a", [played("a", 0, 10, cpu_busy=cpu, load_busy=load)])
    assert own is not None
    assert own.is_load_bound is bound


def test_paired_ratio_compares_within_a_rotation() -> None:
    rounds = [played("n", 0, 100), played("t", 0, 130), played("n", 1, 50), played("t", 1, 65), played("t", 2, 900)]
    assert paired_ratio(rounds, "t", "n") == pytest.approx(1.3)
    assert paired_ratio(rounds, "t", "absent") is None


@given(st.integers(1, 6), st.integers(0, 100))
def test_each_place_is_taken_by_each_contender_in_turn(size: int, start: int) -> None:
    names = [f"c{n}" for n in range(size)]
    firsts = {order(names, rotation)[0] for rotation in range(start, start + size)}
    assert firsts == set(names)
    assert sorted(order(names, start)) == names
