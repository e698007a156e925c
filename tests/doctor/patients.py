"""Facts of machines, configurations and servers, well unless said otherwise."""

from dataclasses import replace

from tidegate.config.check import check_text
from tidegate.doctor.examination import judge
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding
from tidegate.doctor.machine import Machine
from tidegate.doctor.redis_server import RedisServer
from tidegate.doctor.running import Running, RunningUpstream, RunningWorker
from tidegate.observe.kernel import KernelFigures, LinkFigures

GIB = 1 << 30

KERNEL = KernelFigures(
    at_ns=0,
    sockets_in_use=100,
    time_wait=10,
    listen_overflows_total=0,
    listen_drops_total=0,
    retransmitted_segments_total=0,
    sent_segments_total=10_000,
    first_port=10_240,
    last_port=65_535,
    descriptors_open=1_000,
    descriptors_max=1_000_000,
    links=(LinkFigures("eth0", 0, 0, 125_000_000),),
)
MACHINE = Machine(
    at_s=100.0,
    kernel=KERNEL,
    somaxconn=4096,
    tcp_tw_reuse=1,
    tcp_max_syn_backlog=4096,
    tcp_syncookies=1,
    conntrack_count=100,
    conntrack_max=262_144,
    clocksource="tsc",
    is_clock_synchronised=True,
    cores_online=2,
    cores_usable=2,
    cpu_pressure=0.01,
    memory_total=16 * GIB,
    memory_share=0.3,
    swap_used=0,
    is_huge_pages_always=False,
    descriptors_hard=1_048_576,
)
SERVER = RedisServer(
    link="main",
    address="10.0.0.9:6379",
    info={"connected_clients": "20", "used_memory": "1000", "role": "master", "instantaneous_ops_per_sec": "500"},
    config={
        "maxclients": "10000",
        "timeout": "0",
        "tcp-keepalive": "300",
        "tcp-backlog": "511",
        "maxmemory": "1000000000",
        "maxmemory-policy": "allkeys-lfu",
        "slowlog-log-slower-than": "10000",
    },
    round_trips_s=(0.0002,) * 20,
    slow=(),
    keys_total=10,
    keys_seen=10,
    big_keys=(),
)
RUNNING = Running(
    pid=77,
    uptime_s=1000.0,
    etag="",
    source="/etc/tidegate/gateway.toml",
    saturation=0.2,
    worst_signal="loop_lag",
    workers=tuple(RunningWorker(index=index, pid=78 + index, state="ready") for index in range(2)),
    upstreams={"orders": RunningUpstream(exchanges_total=1000, seconds_total=10.0)},
    learned={},
)
TEXT = """
[server]
workers = 2

[[listeners]]
bind = "0.0.0.0:8080"

[redis.main]
url = "redis://10.0.0.9:6379/0"

[limits.capacity]
adaptive = "queue_delay"

[upstreams.orders]
endpoints = ["10.0.0.5:9001"]
limits = ["capacity"]

[[routes]]
name = "orders"
path = "/*"
upstream = "orders"
"""


def machine(*, kernel=None, **facts):
    """The well one, but."""
    return replace(MACHINE, kernel=KERNEL if kernel is None else figures(**kernel), **facts)


def figures(**facts):
    import msgspec

    return msgspec.structs.replace(KERNEL, **facts)


def server(*, info=None, config=None, **facts):
    return replace(SERVER, info={**SERVER.info, **(info or {})}, config={**SERVER.config, **(config or {})}, **facts)


def running(**facts):
    return replace(RUNNING, **facts)


def configured(text=TEXT):
    """The configuration in a text."""
    snapshot, findings = check_text(text)
    assert snapshot is not None, findings
    return snapshot.gateway


def patient(**facts):
    """All that is known of one who is well, but."""
    given = {"machine": MACHINE, "earlier_machine": replace(MACHINE, at_s=98.0), "workers": 2, "servers": (SERVER,)}
    if "gateway" not in facts:
        given["gateway"] = configured()
    if "running" not in facts:
        given["running"] = given["earlier_running"] = RUNNING
    return Facts(**{**given, **facts})


def found(facts, check):
    """What that check alone finds, as (severity, subject, seen)."""
    report = judge(facts)
    return [(one.severity, one.subject, one.seen) for one in report.findings if one.check == check]


def unseen(facts, check):
    """Why that check could not look."""
    return [one.why for one in judge(facts).unseen if one.check == check]


def whole(facts, check):
    """The only finding of a check."""
    (one,) = [one for one in judge(facts).findings if one.check == check]
    assert isinstance(one, Finding)
    return one
