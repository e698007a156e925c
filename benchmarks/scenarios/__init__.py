"""What is measured; ``ALL`` in the order a full run takes them."""

from benchmarks.contenders import Contender
from benchmarks.ground import Session
from benchmarks.load import wrk
from benchmarks.load.report import Report
from benchmarks.scenarios.result import Result, Scenario, Wish
from benchmarks.scenarios.throughput import Goal, Load, Throughput

__all__ = ["ALL", "Result", "Scenario", "Wish"]


def keep_alive(path: str, connections: int) -> Load:
    """wrk on so many keep-alive connections."""

    def load(session: Session, contender: Contender, seconds: float) -> Report:
        del session
        return wrk.run(contender.url(path), connections, seconds)

    return load


EVERYBODY = ("nginx", "tidegate", "envoy", "caddy", "relay", "direct")

ALL: tuple[Scenario, ...] = (
    Throughput(
        name="small",
        title="128-byte responses, keep-alive, 64 connections",
        load=keep_alive("/small", 64),
        contenders=EVERYBODY,
        goals=(Goal("nginx", rate=1.05, cpu=0.9), Goal("envoy", rate=3.0), Goal("caddy", rate=5.0)),
    ),
)
