"""The metrics of links, as Prometheus reads them."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tidegate.memory.region import Region
from tidegate.observe.metrics import Metrics


def test_series_of_links_become_families() -> None:
    region = Region.create(2)
    for slot in range(2):
        meters = region.slot(slot).take_meters()
        command = meters.series_index("redis_command", "main GET")
        meters.add_to_series(command, classes=[10, 1, 0, 0, 0, 0], duration_ns=11_000_000, buckets=[0] * 60 + [11])
        lane = meters.series_index("redis_lane", "main data")
        meters.add_to_series(lane, classes=[11, 4, 1, 0, 2, 3], bytes_in=500, bytes_out=300)
        meters.set_gauges(lane, 1, 5, 6)
        keys = meters.series_index("redis_keys", "main user")
        meters.add_to_series(keys, classes=[11, 0, 0, 0, 0, 0], bytes_in=500, bytes_out=300)
    text = asyncio.run(Metrics(region).render()).decode()
    region.close()
    found = {
        (sample.name, *sorted(value for label, value in sample.labels.items() if label != "le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("tidegate_redis") and sample.labels.get("le", "+Inf") == "+Inf"
    }
    assert found["tidegate_redis_commands_total", "GET", "main", "ok"] == 20
    assert found["tidegate_redis_commands_total", "GET", "error", "main"] == 2
    assert found["tidegate_redis_command_duration_seconds_count", "GET", "main"] == 22
    assert found["tidegate_redis_command_duration_seconds_sum", "GET", "main"] == 0.022
    assert found["tidegate_redis_lane_events_total", "data", "main", "writes"] == 8
    assert found["tidegate_redis_lane_events_total", "data", "dropped", "main"] == 6
    assert found["tidegate_redis_lane_bytes_total", "data", "in", "main"] == 1000
    assert found["tidegate_redis_connections", "data", "main"] == 2
    assert found["tidegate_redis_waiting", "data", "main"] == 10
    assert found["tidegate_redis_in_flight", "data", "main"] == 12
    assert found["tidegate_redis_key_commands_total", "main", "user"] == 22
    assert found["tidegate_redis_key_bytes_total", "main", "out", "user"] == 600


def test_a_gateway_without_redis_has_no_samples_of_it() -> None:
    region = Region.create(1)
    region.slot(0).take_meters()
    text = asyncio.run(Metrics(region).render()).decode()
    region.close()
    assert not [line for line in text.splitlines() if line.startswith("tidegate_redis")]
