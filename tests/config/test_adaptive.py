"""An adaptive limit is a name, or a table."""

import pytest
from tests.config.gateways import LISTENER, ROUTE, UPSTREAM, accepted, told

from tidegate.config.adaptive import OPTIONS, Adaptive
from tidegate.config.declarations import declared


def limited(options: str) -> str:
    return f'{LISTENER}{UPSTREAM}[limits.a]\n{options}\n{ROUTE}limits = ["a"]\n'


@pytest.mark.parametrize("name", ["queue_delay", "gradient", "gradient2", "vegas", "aimd", "envoy", "bbr", "pid"])
def test_name_of_an_algorithm_stands_for_its_table(name: str) -> None:
    short = accepted(limited(f'adaptive = "{name}"')).limits["a"].adaptive
    assert short == accepted(limited(f'adaptive = {{ algorithm = "{name}" }}')).limits["a"].adaptive
    assert short == Adaptive(algorithm=name)


def test_table_may_leave_the_algorithm_out() -> None:
    limit = accepted(limited('adaptive = { target = "20ms", windowed = {} }')).limits["a"]
    assert limit.kind == "concurrency"
    assert limit.adaptive is not None
    assert (limit.adaptive.algorithm, limit.adaptive.target) == ("queue_delay", 0.02)
    assert limit.adaptive.windowed is not None


def test_unknown_algorithm_is_a_finding() -> None:
    (found,) = told(limited('adaptive = "aimed"'))
    assert found.startswith("limits.a.adaptive: ")
    assert '"aimd"' in found


def test_options_of_some_algorithms_are_options() -> None:
    assert OPTIONS.keys() <= declared(Adaptive).keys()
