"""One second in figures, from real shared memory and a kernel of our own making."""

import msgspec
import pytest

from tidegate.memory.hitters import HitterReader
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.kernel import KernelFigures, LinkFigures
from tidegate.observe.sample import Sample, take_sample

SECOND = 1_000_000_000
QUIET = KernelFigures(
    at_ns=0,
    sockets_in_use=5,
    time_wait=100,
    listen_overflows_total=7,
    listen_drops_total=7,
    retransmitted_segments_total=10,
    sent_segments_total=1000,
    first_port=1001,
    last_port=2000,
    descriptors_open=9,
    descriptors_max=99,
    links=(LinkFigures("eth0", 0, 0, 1000), LinkFigures("dummy0", 0, 0, None)),
)


class Figures:
    """A kernel that says what it is told to."""

    def __init__(self):
        self.now = QUIET
        self.descriptors = {}

    def read(self):
        return self.now

    def descriptors_of(self, pid):
        return self.descriptors.get(pid)


@pytest.fixture
def kernel():
    return Figures()


@pytest.fixture
def region():
    made = Region.create(slots=2, log_bytes=1 << 16, series=5)
    yield made
    made.close()


def serving(region, at, now_ns):
    slot = region.slot(at)
    slot.claim(100 + at, 1, now_ns)
    slot.state = SlotState.READY
    return slot, slot.take_meters()


def test_rates_are_per_second_since_the_sample_before(region, kernel):
    _, meters = serving(region, 0, SECOND)
    route, upstream = meters.series_index("route", "orders"), meters.series_index("upstream", "store")
    meters.count("exchanges_started", 10)
    first = take_sample(region, kernel, None, now_ns=SECOND)
    assert (first.step_s, first.workers[0].exchanges_per_s, first.workers[0].exchanges_total) == (0.0, 0.0, 10)
    meters.count("exchanges_started", 30)
    meters.count("connections_accepted", 6)
    meters.record_exchange(route, 200, SECOND, 100, 300, times=4)
    meters.record_exchange(upstream, 200, SECOND // 2, 100, 300, times=4)
    meters.record_upstream(upstream, failures=2, rtt_ns=3_000_000, retransmits=8, open=5, waiting=6, asked=4, failing=3)
    second = take_sample(region, kernel, first, now_ns=3 * SECOND)
    worker = second.workers[0]
    assert (worker.exchanges_total, worker.exchanges_per_s, worker.accepted_per_s) == (40, 15.0, 3.0)
    (route,) = second.routes
    assert (route.name, route.exchanges_total, route.seconds_total, route.bytes_total) == ("orders", 4, 4.0, 1600)
    (upstream,) = second.upstreams
    assert (upstream.name, upstream.failures_total, upstream.open, upstream.waiting) == ("store", 2, 5, 6)
    assert (upstream.endpoints_asked, upstream.endpoints_failing) == (4, 3)
    assert (upstream.rtt_s, upstream.retransmits_total) == (0.003, 8)
    meters.record_exchange(meters.series_index("route", "orders"), 200, SECOND, 100, 300, times=2)
    third = take_sample(region, kernel, second, now_ns=4 * SECOND)
    assert (third.routes[0].exchanges_per_s, third.routes[0].seconds_per_s, third.routes[0].bytes_per_s) == (2, 2, 800)
    assert third.upstreams[0].failures_per_s == 0.0


def test_a_loop_that_stands_is_late_since_its_last_heartbeat(region, kernel):
    slot, meters = serving(region, 0, SECOND)
    meters.set("loop_lag_recent_ns", 80_000_000)
    beating = take_sample(region, kernel, None, now_ns=SECOND + 50_000_000).workers[0]
    assert (beating.heartbeat_age_s, beating.loop_lag_s) == (0.05, 0.08)
    standing = take_sample(region, kernel, None, now_ns=3 * SECOND).workers[0]
    assert (standing.heartbeat_age_s, standing.loop_lag_s) == (2.0, 1.95)
    slot.state = SlotState.DEAD
    assert take_sample(region, kernel, None, now_ns=3 * SECOND).workers[0].loop_lag_s == 0.0


def test_gauges_of_a_worker_are_as_they_were_told(region, kernel):
    slot, meters = serving(region, 1, SECOND)
    slot.queued = 12
    kernel.descriptors[101] = 50
    for name, value in {
        "connections_open": 9,
        "exchanges_open": 4,
        "upgrades_open": 2,
        "upstream_open": 3,
        "upstream_waiting": 1,
        "pool_share_max_ppm": 1_250_000,
        "queue_delay_recent_ns": 30_000_000,
        "clients_asked": 8,
        "clients_failing": 7,
        "shed_level_ppm": 1_500_000,
    }.items():
        meters.set(name, value)
    sample = take_sample(region, kernel, None, now_ns=SECOND, descriptors_max=200)
    empty, worker = sample.workers
    assert (empty.state, empty.is_running, worker.state, worker.is_running) == ("empty", False, "ready", True)
    assert (worker.connections, worker.exchanges, worker.upgrades, worker.queued) == (9, 4, 2, 12)
    assert (worker.upstream_open, worker.upstream_waiting, worker.pool_share, worker.descriptors) == (3, 1, 1.25, 50)
    assert (worker.queue_delay_s, worker.clients_asked, worker.clients_failing) == (0.03, 8, 7)
    assert worker.shed_level == 1.5
    assert sample.descriptors_share == 0.25
    assert sample.ports_share == 0.103  # 100 in TIME_WAIT and 3 open, of 1,000


def test_requests_that_were_shed_are_counted_by_class_over_all_workers(region, kernel):
    for at in range(2):
        _, meters = serving(region, at, SECOND)
        meters.add_to_series(meters.series_index("shed", "batch"), classes=(2, at, 0, 0, 0, 0))
    assert take_sample(region, kernel, None, now_ns=SECOND).shed_total == {"batch": 5}


def test_shares_of_the_machine_come_from_what_its_counters_grew(region, kernel):
    first = take_sample(region, kernel, None, now_ns=SECOND)
    assert (first.link_share, first.retransmit_share) == (0.0, 0.0)
    kernel.now = msgspec.structs.replace(
        QUIET,
        retransmitted_segments_total=60,
        sent_segments_total=1200,
        listen_overflows_total=17,
        links=(LinkFigures("eth0", 500, 1600, 1000), LinkFigures("dummy0", 10**9, 10**9, None)),
    )
    second = take_sample(region, kernel, first, now_ns=3 * SECOND)
    assert (second.link_share, second.retransmits_per_s, second.retransmit_share) == (0.8, 25.0, 0.25)
    assert second.listen_overflows_per_s == 5.0


def test_what_is_not_known_stays_unknown(region, kernel):
    kernel.now = KernelFigures(0, *[None] * 10, (LinkFigures("eth0", 0, 0, None),))
    sample = take_sample(region, kernel, take_sample(region, kernel, None, now_ns=1), now_ns=SECOND)
    assert (sample.link_share, sample.ports_share, sample.descriptors_share) == (None, None, None)
    assert (sample.retransmits_per_s, sample.retransmit_share, sample.listen_overflows_per_s) == (0.0, 0.0, 0.0)


def test_counters_that_began_anew_are_no_negative_rate(region, kernel):
    first = take_sample(region, kernel, None, now_ns=SECOND)
    kernel.now = msgspec.structs.replace(QUIET, retransmitted_segments_total=0, sent_segments_total=5)
    second = take_sample(region, kernel, first, now_ns=2 * SECOND)
    assert (second.retransmits_per_s, second.retransmit_share) == (0.0, 0.0)


def test_a_kept_reader_finds_series_that_came_later(region, kernel):
    reader = MeterReader(region.mapping)
    assert take_sample(region, kernel, None, reader=reader).routes == ()
    for at in range(2):
        _, meters = serving(region, at, SECOND)
        meters.record_exchange(meters.series_index("route", "late"), 200, 1)
    (late,) = take_sample(region, kernel, None, reader=reader).routes
    assert (late.name, late.exchanges_total) == ("late", 2)


def test_a_sample_survives_being_written_down(region, kernel):
    serving(region, 0, SECOND)
    sample = take_sample(region, kernel, None)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sample), type=Sample) == sample


def test_who_asked_most_since_the_sample_before_is_in_it(region, kernel):
    _, meters = serving(region, 0, SECOND)
    route, limit = meters.series_index("route", "all"), meters.series_index("limit", "edge")
    hitters, reader = region.slot(0).take_hitters(), HitterReader(region.mapping)
    meters.record_exchange(route, 200, 1000)
    hitters.record(route, 1, b"before", SECOND, times=100)
    first = take_sample(region, kernel, None, hitters=reader, now_ns=SECOND)
    assert first.keys == ()
    hitters.record(route, 1, b"before", 2 * SECOND, times=4, upstream_ns=SECOND // 2)
    for at in range(20):
        hitters.record(limit, (1 + at) << 59, b"k%d" % at, 2 * SECOND, refusals=1, size=1000, times=20 - at)
    second = take_sample(region, kernel, first, hitters=reader, now_ns=3 * SECOND)
    (asker,) = [one for one in second.keys if one.kind == "route"]
    assert (asker.name, asker.key, asker.requests_per_s, asker.upstream_seconds_per_s) == ("all", "before", 2, 1)
    limited = [one for one in second.keys if one.kind == "limit"]
    assert [one.key for one in limited] == [f"k{at}" for at in range(8)]
    assert (limited[0].refusals_per_s, limited[0].bytes_per_s) == (10, 10_000)
    (known,) = [one for one in second.routes if one.name == "all"]
    assert (known.refusals_per_s, known.upstream_seconds_per_s) == (0, 1)
