"""What is measured; ``every`` gives all of it in the order a full run takes it."""

from benchmarks.contenders.contender import KEY
from benchmarks.scenarios.latency import Latency
from benchmarks.scenarios.loads import by_own, by_own_at, by_wrk
from benchmarks.scenarios.log_stall import LogStall
from benchmarks.scenarios.memory import Memory
from benchmarks.scenarios.result import Result, Scenario, Wish
from benchmarks.scenarios.tail import Tail
from benchmarks.scenarios.throughput import Goal, Throughput

__all__ = ["Result", "Scenario", "Wish", "every", "self_check"]

EVERYBODY = ("nginx", "tidegate", "envoy", "caddy", "relay", "direct")
GUESTS = ("envoy", "caddy", "relay", "direct")  # outside the headline figure they take part in every third rotation
TEN_MB = 10_000_000


def every(generator: str = "own") -> tuple[Scenario, ...]:
    """All scenarios; ``generator`` ("own" or "wrk") loads those that either can."""
    keep_alive = {"own": by_own, "wrk": by_wrk}[generator]
    return (
        Throughput(
            name="small",
            title="128-byte responses, keep-alive, 64 connections",
            load=keep_alive("/small", 64),
            contenders=EVERYBODY,
            goals=(Goal("nginx", rate=1.05, cpu=0.9), Goal("envoy", rate=3.0), Goal("caddy", rate=5.0)),
        ),
        Throughput(
            name="many",
            title="128-byte responses, keep-alive, 1,000 connections",
            load=keep_alive("/small", 1000),
            contenders=EVERYBODY,
            guests=GUESTS,
        ),
        Throughput(
            name="body",
            title="100 KB responses, keep-alive, 64 connections",
            load=by_own("/bytes/100000", 64, payload=100_000),
            contenders=EVERYBODY,
            guests=GUESTS,
            goals=(Goal("nginx", rate=1.0),),
            payload_bytes=100_000,
        ),
        Throughput(
            name="download",
            title="10 MB responses, 8 connections",
            load=by_own(f"/bytes/{TEN_MB}", 8, payload=TEN_MB),
            contenders=EVERYBODY,
            guests=GUESTS,
            goals=(Goal("nginx", rate=1.0),),
            payload_bytes=TEN_MB,
        ),
        Throughput(
            name="upload",
            title="10 MB requests, 8 connections",
            load=by_own("/upload", 8, upload=TEN_MB, payload=TEN_MB),
            contenders=EVERYBODY,
            guests=GUESTS,
            goals=(Goal("nginx", rate=1.0),),
            payload_bytes=TEN_MB,
        ),
        Throughput(
            name="connect",
            title="a new connection for each 128-byte response, 64 at a time",
            load=by_own("/small", 64, reconnect=True),
            contenders=EVERYBODY,
            guests=GUESTS,
            goals=(Goal("nginx", rate=0.9),),
        ),
        Throughput(
            name="tls",
            title="128-byte responses over TLS, keep-alive, 64 connections",
            load=by_own("/small", 64, tls=True),
            contenders=("nginx", "tidegate", "envoy", "caddy"),
            guests=GUESTS,
            goals=(Goal("nginx", rate=1.0),),
            is_tls=True,
        ),
        Throughput(
            name="tls-download",
            title="10 MB responses over TLS, 8 connections",
            load=by_own(f"/bytes/{TEN_MB}", 8, tls=True, payload=TEN_MB),
            contenders=("nginx", "tidegate", "envoy", "caddy"),
            guests=GUESTS,
            goals=(Goal("nginx", rate=0.9),),
            payload_bytes=TEN_MB,
            is_tls=True,
        ),
        Throughput(
            name="tls-handshake",
            title="a full TLS 1.3 handshake for each 128-byte response, 64 at a time",
            load=by_own("/small", 64, tls=True, reconnect=True),
            contenders=("nginx", "tidegate", "envoy", "caddy"),
            guests=GUESTS,
            goals=(Goal("nginx", rate=0.7),),
            is_tls=True,
        ),
        Throughput(
            name="filters",
            title="one Python filter that reads one header and sets two, 64 connections",
            load=by_own("/small", 64),
            contenders=("tidegate", "tidegate-sync", "tidegate-async"),
            baseline="tidegate",
            goals=(
                Goal("tidegate", rate=0.88, contender="tidegate-sync"),
                Goal("tidegate", rate=0.72, contender="tidegate-async"),
            ),
        ),
        Throughput(
            name="limits",
            title="a key, two rates and a bound on concurrency, 128-byte responses, 64 connections",
            load=by_own("/limited", 64, key=KEY),
            contenders=("nginx-limited", "tidegate-limited"),
            baseline="nginx-limited",
            goals=(Goal("nginx-limited", rate=1.1, cpu=0.92, contender="tidegate-limited"),),
        ),
        Throughput(
            name="limits-cost",
            title="the same beside no limits, 128-byte responses, 64 connections",
            load=by_own_at({"tidegate-limited": "/limited"}, "/open", 64, key=KEY),
            contenders=("tidegate", "tidegate-limited"),
            baseline="tidegate",
            goals=(Goal("tidegate", rate=0.88, contender="tidegate-limited"),),
        ),
        Latency(),
        Tail(),
        LogStall(),
        Memory(),
    )


def self_check() -> Throughput:
    """Nginx against itself: what a difference of nothing looks like here today."""
    return Throughput(
        name="self-check",
        title="nginx against a second nginx, 128-byte responses, 64 connections",
        load=by_own("/small", 64),
        contenders=("nginx", "nginx-again"),
        goals=(Goal("nginx", equal=0.05, contender="nginx-again"),),
    )
