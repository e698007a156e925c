"""The delay of lua-resty limit.conn."""

import math

import pytest

from tidegate.limits.unit_delay import UnitDelay


def test_each_max_beyond_the_first_waits_one_unit_more():
    delay = UnitDelay(bound=3, unit_s=0.5)
    assert [delay.delay_s(opened) for opened in range(1, 11)] == [0] * 3 + [0.5] * 3 + [1.0] * 3 + [1.5]


def test_the_unit_follows_what_requests_take():
    delay = UnitDelay(bound=1, unit_s=0.1)
    delay.learn(0.4)
    assert delay.unit_s == 0.25
    for _ in range(40):
        delay.learn(2.0)
    assert delay.unit_s == pytest.approx(2.0)


@pytest.mark.parametrize(("bound", "unit_s"), [(0, 0.1), (-1, 0.1), (1, -0.1), (1, math.nan)])
def test_senseless_options_are_refused(bound, unit_s):
    with pytest.raises(ValueError, match="expected"):
        UnitDelay(bound, unit_s)
