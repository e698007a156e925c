"""Figures of a gateway in trouble; the measurements themselves take a minute and are run by hand."""

import re
from pathlib import Path

from benchmarks.trouble import KNOWN
from benchmarks.trouble.gateway import quantile

OPERATE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()


def test_each_is_named_in_the_manual():
    assert set(re.findall(r"python -m benchmarks ([a-z-]+)", OPERATE)) >= set(KNOWN)


def test_quantile_is_a_value_that_was_measured():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([1.0], 0.0) == 1.0
