"""Judges Redis servers by what they say of themselves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from tidegate.cache.cache import prefix_of
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Incident, Severity, Unseen, in_mebibytes
from tidegate.doctor.redis_server import RedisServer

__all__ = ["REDIS_CHECKS"]

_CONNECTIONS = 4  # of a worker: one for each lane, and one that hears what is published
_FULL = 0.8
_BIG = 1 << 20
_HUGE = 10 << 20
_SLOW_S = 0.01
_RECENT_S = 3600.0
_FAR_S = 0.002
_OPERATIONS = 100_000
_FORK_US = 100_000


def check_servers_answer(facts: Facts) -> Iterator[Finding | Unseen]:
    """Whether each one can be asked at all, and by the gateway's own way."""
    if facts.gateway is not None and not facts.gateway.redis:
        return
    for server in facts.servers:
        if server.error:
            yield Finding(
                check="redis-away",
                severity="serious",
                subject=f"redis.{server.link}",
                seen=f"{server.address}: {server.error}",
                why="every limit, session and cache that is kept there falls back to what its on_store_failure says",
                mend=f"redis-cli -u redis://{server.address} PING tells whether it is the server, the way or the key",
            )
        elif server.info is not None and server.info.get("loading") == "1":
            yield _finding(
                server,
                "redis-away",
                "serious",
                "it still loads its data",
                why="it serves nobody until then",
                mend="wait",
            )
        elif server.info is not None and server.info.get("role") == "slave" and not _is_in_cluster(facts, server):
            yield _finding(
                server,
                "redis-away",
                "serious",
                f"it is a replica of {server.info.get('master_host')}:{server.info.get('master_port')}",
                why="it takes no writes, and what is read there is late",
                mend=f"redis.{server.link}.url is the master's, or name the Sentinels (redis.{server.link}.sentinels)",
            )


def _is_in_cluster(facts: Facts, server: RedisServer) -> bool:
    """Whether the server belongs to a cluster, in which replicas have their place."""
    link = None if facts.gateway is None else facts.gateway.redis.get(server.link)
    return link is not None and link.cluster


def check_clients(facts: Facts) -> Iterator[Finding | Unseen]:
    """Room for the gateway's connections, and whether the server leaves them alone."""
    for server in _answering(facts):
        most, now = server.setting("maxclients"), server.number("connected_clients")
        if server.config is None:
            yield Unseen("redis-clients", f"redis.{server.link}: {server.address} refuses CONFIG GET")
        if most is not None and now is not None:
            # One that runs has most of its connections open already.
            more = 0 if facts.running is not None else facts.workers * _CONNECTIONS
            if now + more > most * _FULL:
                yield _finding(
                    server,
                    "redis-clients",
                    "serious" if now + more > most else "warning",
                    f"{now:,} of at most {most:,} clients are connected"
                    + (f", and {facts.workers} workers bring up to {more}" if more else ""),
                    why="one more is refused at once, whoever it is",
                    mend=f"CONFIG SET maxclients {2 * (now + more)}; `CLIENT LIST` tells who has the others",
                    incident="ports",
                )
        refused = server.number("rejected_connections")
        if refused:
            yield _finding(
                server,
                "redis-clients",
                "warning",
                f"it has refused {refused:,} connections since it was started",
                why="there were more clients than maxclients allows",
                mend="CONFIG SET maxclients, or find who opens so many (CLIENT LIST)",
                incident="ports",
            )
        timeout = server.setting("timeout")
        if timeout:
            yield _finding(
                server,
                "redis-clients",
                "warning",
                f"timeout {timeout}: it closes clients that were silent for so many seconds",
                why="connections that are kept for the next burst are gone when it comes, and all are opened at once",
                mend="CONFIG SET timeout 0, with tcp-keepalive 300 for the dead ones",
                incident="ports",
            )
        if server.setting("tcp-keepalive") == 0:
            yield _finding(
                server,
                "redis-clients",
                "note",
                "tcp-keepalive 0",
                why="clients whose machine died stay connected for ever, and count",
                mend="CONFIG SET tcp-keepalive 300",
            )
        backlog = server.setting("tcp-backlog")
        if backlog is not None and backlog < 128:
            yield _finding(
                server,
                "redis-clients",
                "warning",
                f"tcp-backlog {backlog}",
                why="when all workers connect at once after a restart, some of them wait for seconds",
                mend="tcp-backlog 511 in its configuration file, and net.core.somaxconn at least as much",
                incident="listen-overflow",
            )


def check_memory_policy(facts: Facts) -> Iterator[Finding | Unseen]:
    """What happens when its memory is full."""
    for server in _answering(facts):
        most, policy = server.setting("maxmemory"), (server.config or {}).get("maxmemory-policy", "")
        used = server.number("used_memory")
        if most == 0:
            yield _finding(
                server,
                "redis-memory",
                "warning",
                "maxmemory 0: it takes what there is",
                why="the kernel kills it when nothing is left, and everything in it is gone at once",
                mend="CONFIG SET maxmemory to about 70 % of its machine",
            )
        elif most and used is not None and used > most * 0.9:
            is_refusing = policy == "noeviction"
            yield _finding(
                server,
                "redis-memory",
                "serious" if is_refusing else "warning",
                f"{in_mebibytes(used)} of {in_mebibytes(most)} are used, {policy}",
                why="it refuses writes (OOM) next"
                if is_refusing
                else "each write pushes something out that is still good",
                mend="CONFIG SET maxmemory, or let keys expire sooner",
                incident="stampede",
            )
        evicted = server.number("evicted_keys")
        if evicted:
            yield _finding(
                server,
                "redis-memory",
                "warning",
                f"{evicted:,} keys were pushed out since it was started, {policy}",
                why="what is shared by all is pushed out by what is asked once, and everybody fetches it anew",
                mend="CONFIG SET maxmemory-policy allkeys-lfu keeps what is asked often; more maxmemory keeps all",
                incident="stampede",
            )
        elif policy in ("allkeys-random", "volatile-random"):
            yield _finding(
                server,
                "redis-memory",
                "warning",
                f"maxmemory-policy {policy}",
                why="what is asked most is as likely to go as what is asked never",
                mend="CONFIG SET maxmemory-policy allkeys-lfu",
                incident="stampede",
            )


def check_slow_log(facts: Facts) -> Iterator[Finding | Unseen]:
    """Commands that held the server, which serves one after the other."""
    for server in _answering(facts):
        if server.slow is None:
            yield Unseen("redis-slow", f"redis.{server.link}: {server.address} refuses SLOWLOG")
            continue
        recent = [one for one in server.slow if one.age_s < _RECENT_S and one.took_s >= _SLOW_S]
        if recent:
            worst = max(recent, key=lambda one: one.took_s)
            yield _finding(
                server,
                "redis-slow",
                "serious" if worst.took_s >= 1.0 else "warning",
                f"{len(recent)} commands of the last hour took {_SLOW_S * 1000:.0f} ms or more; the worst "
                f"{worst.took_s * 1000:.0f} ms: {worst.command}",
                why="everybody else waited meanwhile: it runs one command at a time",
                mend="SLOWLOG GET tells all; KEYS → SCAN, whole collections → parts, DEL of large ones → UNLINK",
                incident="blocked-loop",
            )
        if (server.setting("slowlog-log-slower-than") or 0) < 0:
            yield _finding(
                server,
                "redis-slow",
                "note",
                "the slow log is off",
                why="nobody will know which command it was",
                mend="CONFIG SET slowlog-log-slower-than 10000",
            )


def check_big_keys(facts: Facts) -> Iterator[Finding | Unseen]:
    """Values that fill the link when they are asked for."""
    for server in _answering(facts):
        if server.big_keys is None:
            yield Unseen("redis-big-keys", f"redis.{server.link}: {server.address} refuses SCAN or MEMORY USAGE")
            continue
        big = [one for one in server.big_keys if one.size >= _BIG]
        if big:
            part = f"of {server.keys_seen:,} keys looked at ({server.keys_total:,} in all)"
            shown = ", ".join(f"{one.key[:64]} {in_mebibytes(one.size)}" for one in big)
            yield _finding(
                server,
                "redis-big-keys",
                "serious" if big[0].size >= _HUGE else "warning",
                f"{shown}, {part}",
                why=f"one reply of {in_mebibytes(big[0].size)} takes a link of 1 Gbit/s for "
                f"{big[0].size * 8 / 1e6:.0f} ms; when it is asked by each caller that misses, nothing else comes by",
                mend=_mend_big(facts, server, big[0].key),
                incident="stampede",
            )


def _mend_big(facts: Facts, server: RedisServer, key: str) -> str:
    for name, cache in ({} if facts.gateway is None else facts.gateway.cache).items():
        if cache.redis == server.link and key.startswith(prefix_of(name, cache)):
            return f'cache.{name}.redis_bytes_per_s = "50MiB" leaves room on the link beside it; or split the value'
    return "split it, or ask for it through a cache: one fetch for all, in pieces, on a connection of its own"


def check_fleet_limits(facts: Facts) -> Iterator[Finding | Unseen]:
    """What limits of a whole fleet need of the server that they share."""
    for server in _answering(facts):
        limits = {} if facts.gateway is None else facts.gateway.limits
        shared = {name: limit for name, limit in limits.items() if limit.store == server.link}
        if not shared:
            continue
        policy = (server.config or {}).get("maxmemory-policy", "noeviction")
        if policy != "noeviction" and server.setting("maxmemory") != 0:
            yield _finding(
                server,
                "redis-fleet",
                "warning",
                f"maxmemory-policy {policy}, and {', '.join(shared)} count there",
                why="a count that is pushed out begins anew: the whole fleet is let in once more",
                mend="a server of its own for limits, with CONFIG SET maxmemory-policy noeviction",
                incident="limiter",
            )
        hasty = {name: limit.latency_cap for name, limit in shared.items()}
        name = min(hasty, key=lambda one: hasty[one])
        middle = statistics.median(server.round_trips_s) if server.round_trips_s else 0.0
        if middle > hasty[name] / 2:
            yield _finding(
                server,
                "redis-fleet",
                "warning",
                f"a PING takes {middle * 1000:.1f} ms, and limits.{name} waits for {hasty[name] * 1000:g} ms at most",
                why="requests that have to wait for it are decided as if it were away (on_store_failure)",
                mend=f'limits.{name}.latency_cap = "{math.ceil(4000 * middle)}ms", or a server that is nearer',
                incident="limiter",
            )


def check_pace(facts: Facts) -> Iterator[Finding | Unseen]:
    """How far away it is, and how near its one thread is to its end."""
    for server in _answering(facts):
        if server.round_trips_s:
            middle, worst = statistics.median(server.round_trips_s), max(server.round_trips_s)
            if middle > _FAR_S:
                yield _finding(
                    server,
                    "redis-pace",
                    "warning",
                    f"a PING takes {middle * 1000:.1f} ms (median of {len(server.round_trips_s)}, worst "
                    f"{worst * 1000:.1f} ms)",
                    why="each request that asks it waits for so long, or longer than its limits' latency cap",
                    mend="same rack or zone; `redis-cli --intrinsic-latency 10` there tells how its machine is held up",
                )
        operations = server.number("instantaneous_ops_per_sec")
        if operations is not None and operations > _OPERATIONS:
            yield _finding(
                server,
                "redis-pace",
                "serious",
                f"{operations:,} commands a second",
                why="one thread serves 130,000 to 150,000 a second; beyond that they queue",
                mend="a cluster, io-threads, or fewer commands (MGET, a cache in front)",
                incident="ports",
            )
        fork_us = server.number("latest_fork_usec")
        if fork_us is not None and fork_us > _FORK_US:
            yield _finding(
                server,
                "redis-pace",
                "warning",
                f"its last fork took {fork_us / 1000:.0f} ms",
                why="it serves nobody for so long each time it saves",
                mend="save on a replica, or transparent_hugepage=madvise on its machine",
                incident="blocked-loop",
            )


def check_persistence(facts: Facts) -> Iterator[Finding | Unseen]:
    """Saving that fails makes a server refuse writes."""
    for server in _answering(facts):
        info = server.info or {}
        failed = [
            name
            for name in ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")
            if info.get(name, "ok") != "ok"
        ]
        if failed:
            yield _finding(
                server,
                "redis-persistence",
                "serious",
                f"{', '.join(failed)}: {info[failed[0]]}",
                why="it refuses writes (MISCONF) until saving works again",
                mend="its log says why: mostly a full disk, or no memory for the fork (vm.overcommit_memory=1)",
            )


def _answering(facts: Facts) -> Iterator[RedisServer]:
    return (one for one in facts.servers if not one.error)


def _finding(
    server: RedisServer,
    check: str,
    severity: Severity,
    seen: str,
    *,
    why: str,
    mend: str,
    incident: Incident = "",
) -> Finding:
    return Finding(
        check=check,
        severity=severity,
        subject=f"redis.{server.link}",
        seen=f"{server.address}: {seen}",
        why=why,
        mend=mend,
        incident=incident,
    )


REDIS_CHECKS = {
    "redis-away": check_servers_answer,
    "redis-clients": check_clients,
    "redis-memory": check_memory_policy,
    "redis-slow": check_slow_log,
    "redis-big-keys": check_big_keys,
    "redis-fleet": check_fleet_limits,
    "redis-pace": check_pace,
    "redis-persistence": check_persistence,
}
