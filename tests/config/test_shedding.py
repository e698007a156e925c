"""[shed]."""

import pytest
from tests.config.gateways import PLAIN, accepted, told

from tidegate.config.shedding import MemoryLevel, parse_memory_level


def test_all_bounds_are_off_unless_they_are_said() -> None:
    shed = accepted(PLAIN).shed
    assert (shed.loop_lag, shed.memory, shed.in_flight) == (None, None, None)
    shed = accepted(PLAIN + '[shed]\nloop_lag = "off"\nmemory = "off"\nin_flight = "off"\n').shed
    assert (shed.loop_lag, shed.memory, shed.in_flight) == (None, None, None)
    shed = accepted(PLAIN + '[shed]\nloop_lag = "200ms"\nmemory = "90%"\nin_flight = 5000\n').shed
    assert (shed.loop_lag, shed.memory, shed.in_flight) == (0.2, "90%", 5000)


@pytest.mark.parametrize(
    ("text", "level"),
    [("90%", MemoryLevel(share=0.9)), ("0.5GiB", MemoryLevel(size=1 << 29)), ("1 MiB", MemoryLevel(size=1 << 20))],
)
def test_memory_is_a_share_or_a_size(text: str, level: MemoryLevel) -> None:
    assert parse_memory_level(text) == pytest.approx(level)


@pytest.mark.parametrize(
    ("option", "finding"),
    [
        ('memory = "0%"', 'shed.memory: expected a share from "1%" to "100%", got "0%"'),
        ('memory = "101%"', 'shed.memory: expected a share from "1%" to "100%", got "101%"'),
        ('memory = "10KiB"', 'shed.memory: expected 1MiB or more, got "10KiB"'),
        ('memory = "much"', 'shed.memory: expected a share such as "90%" or a size such as "512MiB", got "much"'),
        ("memory = 90", 'shed.memory: expected a share such as "90%" or a size such as "512MiB", got the number 90'),
        ('loop_lag = "1ms"', 'shed.loop_lag: expected a duration from 10ms to 1m, got "1ms"'),
    ],
)
def test_bounds_that_are_none_are_found(option: str, finding: str) -> None:
    assert told(f"{PLAIN}[shed]\n{option}\n") == [f'{finding} (or "off")']
