"""[cache.NAME]: what it is when nothing is said, and how options are written."""

from __future__ import annotations

import pytest
from tests.config.gateways import PLAIN, accepted, told


def test_a_name_is_enough() -> None:
    one = accepted(PLAIN + "[cache.prices]\n").cache["prices"]
    assert (one.memory, one.ttl, one.negative_ttl, one.jitter, one.early_refresh) == (64 << 20, 60.0, 1.0, 0.1, 1.0)
    assert (one.stale_while_revalidate, one.stale_if_error, one.wait, one.load_timeout) == (0.0, 0.0, 5.0, 30.0)


def test_every_option_is_written_as_elsewhere() -> None:
    text = 'memory = "1MiB"\nttl = "4h"\njitter = 0.2\nearly_refresh = 2.0\nnegative_ttl = "0s"\nwait = "250ms"\n'
    one = accepted(PLAIN + "[cache.prices]\n" + text + 'stale_while_revalidate = "1m"\nstale_if_error = "1h"\n')
    assert (one.cache["prices"].memory, one.cache["prices"].ttl, one.cache["prices"].wait) == (1 << 20, 14400.0, 0.25)


@pytest.mark.parametrize(
    "line", ['memory = "10B"', 'ttl = "0s"', "jitter = 0.6", "early_refresh = -1.0", 'ttl = "-1s"']
)
def test_values_out_of_bounds_are_findings(line: str) -> None:
    assert len(told(PLAIN + f"[cache.prices]\n{line}\n")) == 1
