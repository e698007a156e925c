"""The manual's table of algorithms is what the simulator says."""

import re
from pathlib import Path

import pytest

from tidegate.lab.sim.contenders import CONTENDERS
from tidegate.lab.sim.play import play
from tidegate.lab.sim.scenario import shipped

PAGE = Path(__file__).parents[2] / "docs" / "adaptive.md"
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE))


def test_every_limit_has_its_row():
    assert set(CONTENDERS) <= set(ROWS)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_figures_of_the_table_are_those_of_the_simulator(contender):
    goodput, queue_ms, limits = [cell.strip() for cell in ROWS[contender].split("|")][:3]
    summary = play(shipped()["slow_backend"], contender).summary()
    # Chance is seeded; what differs between two machines is the last digit of a logarithm.
    assert float(goodput.rstrip(" %")) == pytest.approx(100 * summary.goodput, abs=2.5)
    assert float(queue_ms.replace(",", "")) == pytest.approx(summary.queue_delay_ms, rel=0.2, abs=20)
    if limits:
        assert [float(limit) for limit in limits.split(" to ")] == pytest.approx(
            [summary.limit_least, summary.limit_most], rel=0.2
        )
