"""What /metrics says."""

import asyncio
import gc
import math
import os
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tidegate.memory.meters import COUNTER_NAMES
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.error_log import ErrorLog
from tidegate.observe.kernel import Kernel, LinkFigures
from tidegate.observe.limit_rooms import LimitRoom
from tidegate.observe.line_sink import LineSink
from tidegate.observe.log_writer import LogWriter
from tidegate.observe.metric_names import BY_WORKER, METRICS, SUMMED
from tidegate.observe.metrics import Metrics
from tidegate.observe.redis_metrics import REDIS
from tidegate.observe.saturation import SaturationBounds
from tidegate.observe.vital_metrics import VITALS
from tidegate.observe.vitals import Vitals


class Linked(Kernel):
    """This machine's kernel, with a network interface whose speed is known."""

    def read(self):
        return msgspec.structs.replace(super().read(), links=(LinkFigures("eth0", 5, 6, 1000),))

    def descriptors_of(self, pid):
        return 7


@pytest.fixture
def region():
    made = Region.create(slots=2, log_bytes=1 << 16, series=40)
    yield made
    made.close()


def exposition(region, **settings):
    return asyncio.run(Metrics(region, **settings).render()).decode()


def samples(region, **settings):
    found = {}
    for family in text_string_to_metric_families(exposition(region, **settings)):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, "a sample twice makes Prometheus refuse all of it"
            found[key] = sample.value
    return found


def busy(region):
    for at in range(2):
        region.slot(at).claim(os.getpid(), 1, time.monotonic_ns())
        region.slot(at).state = SlotState.READY
        meters = region.slot(at).take_meters()
        for number, name in enumerate(COUNTER_NAMES):
            meters.count(name, 1000 + number)
        for kind in ("route", "upstream"):
            series = meters.series_index(kind, "orders")
            for status, duration_us in ((200, 100), (200, 1500), (404, 70_000_000), (0, 10)):
                meters.record_exchange(series, status, duration_us * 1000, 10, 500)
    region.snapshot_number = 3


def test_every_metric_is_there_with_its_type_and_help(region, tmp_path):
    busy(region)
    writer = LogWriter([region.slot(0).log_reader()], str(tmp_path / "log"), say=print)
    error_log = ErrorLog(LineSink(str(tmp_path / "errors")))
    vitals = Vitals(region, SaturationBounds(connections=10, backlog=10), say=error_log.say, kernel=Linked())
    vitals.take()
    text = exposition(region, log_writer=writer, error_log=error_log, vitals=vitals)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for metric in (*METRICS, *VITALS, *REDIS):
        name = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
        family = families.pop(name)
        assert (family.type, family.documentation) == (metric.type, metric.meaning)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert not families


def test_every_meter_is_exposed_exactly_once():
    exposed = [counter for metric in (*SUMMED, *BY_WORKER) for counter, _ in metric.counters]
    assert sorted(exposed) == sorted(COUNTER_NAMES)


def test_counters_are_summed_over_workers_and_lags_are_per_worker(region):
    busy(region)
    found = samples(region)
    assert found["tidegate_connections_accepted_total",] == 2000
    dial = 2 * (1000 + COUNTER_NAMES.index("exchanges_async_dial"))
    assert found["tidegate_exchange_path_total", ("cause", "dial"), ("path", "async")] == dial
    assert found["tidegate_exchange_path_total", ("cause", ""), ("path", "sync")] == 2 * 1009
    refused = found["tidegate_connections_refused_total", ("bound", "address")]
    assert refused == 2 * (1000 + COUNTER_NAMES.index("connections_refused_address"))
    for worker in ("0", "1"):
        lag_ns = 1000 + COUNTER_NAMES.index("loop_lag_ns")
        assert found["tidegate_loop_lag_seconds", ("worker", worker)] == pytest.approx(lag_ns * 1e-9)
    assert found["tidegate_snapshot_number",] == 3


def test_histograms_and_classes_of_routes_and_upstreams(region):
    busy(region)
    found = samples(region)
    for label, prefix in (("route", "tidegate_exchange"), ("upstream", "tidegate_upstream")):
        count = "tidegate_exchanges_total" if label == "route" else "tidegate_upstream_exchanges_total"
        classes = {dict(key[1:])["class"]: value for key, value in found.items() if key[0] == count}
        assert classes == {"none": 2, "2xx": 4, "4xx": 2}
        buckets = {
            float(dict(key[1:])["le"]): value
            for key, value in found.items()
            if key[0] == f"{prefix}_duration_seconds_bucket"
        }
        assert list(buckets.values()) == sorted(buckets.values())
        assert buckets[6.4e-05] == 2 and buckets[0.000128] == 4 and buckets[0.001024] == 4 and buckets[0.002048] == 6
        assert buckets[67.108864] == 6 and buckets[math.inf] == 8
        assert found[f"{prefix}_duration_seconds_count", (label, "orders")] == 8
        assert found[f"{prefix}_duration_seconds_sum", (label, "orders")] == pytest.approx(2 * 70.00161)
        assert found[f"{prefix}_body_bytes_total", ("direction", "out"), (label, "orders")] == 4000


def test_other_is_shown_only_when_something_is(region):
    assert "other" not in exposition(region).replace("as `other`", "")
    region.slot(0).take_meters().record_exchange(0, 200, 1000)
    found = samples(region)
    assert found["tidegate_exchanges_total", ("class", "2xx"), ("route", "other")] == 1


def test_workers_are_shown_with_state_memory_and_heartbeat(region):
    program = "import time; print('up', flush=True); time.sleep(60)"
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        worker.stdout.readline()
        region.slot(0).claim(worker.pid, 1, 5_000_000_000)
        region.slot(0).prepared = 9
        region.slot(1).claim(worker.pid, 1, 0)
        region.slot(1).state = SlotState.DEAD
        found = samples(region, clock_ns=lambda: 7_500_000_000)
    finally:
        worker.kill()
        worker.communicate()
    states = {key[1:]: value for key, value in found.items() if key[0] == "tidegate_worker_state"}
    assert [key for key, value in states.items() if value] == [
        (("state", "starting"), ("worker", "0")),
        (("state", "dead"), ("worker", "1")),
    ]
    assert found["tidegate_worker_heartbeat_age_seconds", ("worker", "0")] == 2.5
    assert found["tidegate_worker_snapshot_number", ("worker", "0")] == 9
    assert 3 << 20 < found["tidegate_worker_resident_memory_bytes", ("worker", "0")] < 1 << 30
    assert found["tidegate_worker_cpu_seconds_total", ("worker", "0")] >= 0
    assert ("tidegate_worker_heartbeat_age_seconds", ("worker", "1")) not in found


def test_worker_that_has_just_died_is_left_out_and_breaks_nothing(region):
    worker = subprocess.Popen([sys.executable, "-c", ""])
    worker.wait()
    region.slot(0).claim(worker.pid, 1, 0)
    found = samples(region)
    assert ("tidegate_worker_heartbeat_age_seconds", ("worker", "0")) in found
    assert ("tidegate_worker_resident_memory_bytes", ("worker", "0")) not in found


@given(st.text(min_size=1, max_size=15))
def test_any_route_name_is_a_label_that_reads_back(name):
    region = Region.create(slots=1, series=1)
    meters = region.slot(0).take_meters()
    meters.record_exchange(meters.series_index("route", name), 200, 1000)
    routes = {
        sample.labels["route"]
        for family in text_string_to_metric_families(exposition(region))
        if family.name == "tidegate_exchanges"
        for sample in family.samples
    }
    region.close()
    assert routes == {name}


def test_a_thousand_routes_hold_nobody_up():
    region = Region.create(slots=4, series=1000)
    for at in range(4):
        meters = region.slot(at).take_meters()
        for i in range(1000):
            meters.record_exchange(meters.series_index("route", f"route {i}"), 200, 1000 * i)
    longest, whole, texts = 0.0, 0.0, []
    pieces = Metrics(region).slices()
    gc.collect()  # the tests' own heap is not what is measured
    gc.freeze()
    while True:
        began = time.thread_time()
        piece = next(pieces, None)
        took = time.thread_time() - began
        longest, whole = max(longest, took), whole + took
        if piece is None:
            break
        texts.append(piece)
    gc.unfreeze()
    region.close()
    text = "".join(texts)
    assert text.count("tidegate_exchange_duration_seconds_count") == 1000
    assert len(texts) > 60
    # On a machine of any speed: no slice does a good part of it.
    assert longest < max(0.05, whole / 5)


def test_others_run_while_it_renders(region):
    meters = region.slot(0).take_meters()
    for i in range(38):
        meters.record_exchange(meters.series_index("route", f"route {i}"), 200, 1000)
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both():
        async with asyncio.TaskGroup() as group:
            counting = group.create_task(count_turns())
            await Metrics(region).render()
            counting.cancel()

    asyncio.run(both())
    assert turns >= 8


def test_verdicts_of_limits_are_told_by_limit(region):
    meters = region.slot(0).take_meters()
    meters.record_limit(meters.series_index("limit", 'a"b'), "refused", 3)
    text = exposition(region)
    assert 'tidegate_limit_requests_total{limit="a\\"b",verdict="refused"} 3\n' in text
    assert 'tidegate_limit_requests_total{limit="a\\"b",verdict="admitted"} 0\n' in text
    assert 'limit="other"' not in text


def test_what_is_shed_is_told_by_class_and_reason(region):
    meters = region.slot(0).take_meters()
    meters.record_limit(meters.series_index("shed", "batch"), "refused", 4)  # the second of each
    meters.set("shed_level_ppm", 1_250_000)
    text = exposition(region)
    assert 'tidegate_shed_total{class="batch",reason="memory"} 4\n' in text
    assert 'tidegate_shed_total{class="batch",reason="in_flight"} 0\n' in text
    assert 'class="other"' not in text
    assert 'tidegate_shed_level{worker="0"} 1.250000000\n' in text


def test_limits_that_lack_room_are_told_by_name(region):
    class Rooms:
        rooms = {"edge": LimitRoom(7, 1, 0)}  # noqa: RUF012 - a stand-in

    text = "".join(Metrics(region, limit_rooms=Rooms()).slices())
    assert 'tidegate_limit_evictions_total{limit="edge"} 7\n' in text
    assert 'tidegate_limit_contended_total{limit="edge"} 1\n' in text
    assert 'tidegate_limit_crowded_total{limit="edge"} 0\n' in text
