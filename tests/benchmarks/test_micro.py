import pytest
from benchmarks import micro


def test_time_is_that_of_one_operation() -> None:
    def sums(n: int) -> None:
        for _ in range(n):
            sum(range(100))

    best, median = micro.nanoseconds(sums, runs=3, run_s=0.002)
    assert 10 < best <= median < 1e6


def test_a_case_that_counts_for_itself_is_believed() -> None:
    def thousandfold(n: int) -> int:
        sum(range(n))
        return n * 1000

    def single(n: int) -> None:
        sum(range(n))

    assert micro.nanoseconds(thousandfold, runs=3, run_s=0.002)[0] * 100 < micro.nanoseconds(single, 3, 0.002)[0]


def test_unknown_module_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert micro.main(["no_such_module"]) == 2
    assert "no_such_module" in capsys.readouterr().err
