"""A real cluster of three nodes on loopback, whose slots move when a test says so, and a link to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.redis.links import FAR_S, Log
from tests.redis.servers import START_S, Server, free_port

from tidegate.config.redis import Redis
from tidegate.redis.cluster import ClusterLink
from tidegate.redis.link import make_link

EDGES = ((0, 5460), (5461, 10922), (10923, 16383))


class Cluster:
    """Three masters that share the slots."""

    def __init__(self) -> None:
        self.nodes = [
            Server("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "5000")
            for _ in EDGES
        ]
        for node, edges in zip(self.nodes, EDGES, strict=True):
            assert node.ask("CLUSTER", "ADDSLOTSRANGE", *edges) == b"OK"
        for other in self.nodes[1:]:
            bus = other._options[other._options.index("--cluster-port") + 1]
            assert self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus) == b"OK"
        deadline = time.monotonic() + START_S
        while not all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.02)

    def owner(self, slot: int) -> Server:
        """Who has a slot, as the first node knows."""
        for first, last, (_, port, *_rest), *_ in self.nodes[0].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def begin_move(self, slot: int) -> tuple[Server, Server]:
        """Half of moving a slot: where it was, where it goes."""
        source = self.owner(slot)
        target = next(node for node in self.nodes if node is not source)
        source_id, target_id = (node.ask("CLUSTER", "MYID") for node in (source, target))
        assert target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id) == b"OK"
        assert source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id) == b"OK"
        return source, target

    def end_move(self, slot: int, source: Server, target: Server) -> None:
        """The other half: its keys, then the slot."""
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            assert source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *keys) == b"OK"
        target_id = target.ask("CLUSTER", "MYID")
        for node in (target, source, *self.nodes):
            assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id) == b"OK"

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@asynccontextmanager
async def linked(cluster: Cluster, log: Log | None = None, **options: Any) -> AsyncIterator[ClusterLink]:
    defaults = {
        "url": f"redis://127.0.0.1:{free_port()}",  # a node that is away
        "nodes": (cluster.nodes[0].address,),
        "cluster": True,
        "connect_timeout": FAR_S,
        "timeout": FAR_S,
    }
    link = make_link("main", Redis(**defaults | options), (log if log is not None else Log()).say)
    assert isinstance(link, ClusterLink)
    try:
        yield link
    finally:
        link.close()
