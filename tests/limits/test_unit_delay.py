"""The delay of lua-resty limit.conn; its answers are those of tests/compatibility."""

import math

import pytest

from tidegate.limits.unit_delay import UnitDelay

pytestmark = pytest.mark.sanitize


def test_each_bound_beyond_the_first_waits_one_unit_more():
    delay = UnitDelay(0.5)
    assert [delay.delay_s(opened, 3) for opened in range(1, 11)] == [0] * 3 + [0.5] * 3 + [1.0] * 3 + [1.5]
    assert [delay.delay_s(opened, 0) for opened in (0, 1, 9)] == [0] * 3


def test_the_unit_follows_what_requests_take():
    delay = UnitDelay(0.1)
    delay.learn(0.4)
    assert delay.unit_s == 0.25
    for _ in range(40):
        delay.learn(2.0)
    assert delay.unit_s == pytest.approx(2.0)
    assert repr(delay) == "<UnitDelay 2 s>"


@pytest.mark.parametrize("unit_s", [-0.1, math.nan])
def test_senseless_options_are_refused(unit_s):
    with pytest.raises(ValueError, match="expected"):
        UnitDelay(unit_s)
