"""Judges pools, limits and addresses of upstreams, by the configuration and by what a running gateway has counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from tidegate.config.limits import Limit
from tidegate.config.upstreams import Upstream, UpstreamTLS
from tidegate.config.values import Address, parse_address, parse_rate
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Unseen
from tidegate.doctor.running import RunningUpstream

__all__ = ["UPSTREAM_CHECKS"]

_DEVIATIONS = 3.0
_EXCHANGES_MIN = 20  # fewer say nothing about a mean
_IDLE_SHARE = 4


def check_pool_shape(facts: Facts) -> Iterator[Finding | Unseen]:
    """Pools that close what the next burst opens again, or in which nobody may wait."""
    for name, upstream in _upstreams(facts):
        pool = upstream.pool
        if pool.idle * _IDLE_SHARE < pool.max:
            yield Finding(
                check="pool-shape",
                severity="warning",
                subject=f"upstreams.{name}.pool.idle",
                seen=f"{pool.idle} connections are kept, {pool.max} may be opened",
                why="after each burst the difference is closed, and waits in TIME_WAIT with its port",
                mend=f"upstreams.{name}.pool.idle = {max(1, pool.max * 3 // 4)}",
                incident="ports",
            )
        if pool.wait == 0:
            yield Finding(
                check="pool-shape",
                severity="warning",
                subject=f"upstreams.{name}.pool.wait",
                seen="0: nobody waits for a connection",
                why="a burst of one more than pool.max is answered with 503, although a connection is free a "
                "millisecond later",
                mend=f"upstreams.{name}.pool.wait = 1024",
                incident="ports",
            )


def check_pool_size(facts: Facts) -> Iterator[Finding | Unseen]:
    """Pools against the concurrency that the meters predict: Little's law, L = λ W, W up to the head of the answer.

    A pool of a worker that has L in use on average needs L + 3 √L for all but a thousandth of the time, as arrivals
    that do not know of each other are spread like that (Poisson). The bodies of answers are not in W, so the truth is
    not less.
    """
    if facts.gateway is not None and facts.running is None:
        yield Unseen("pool-size", "no gateway with this configuration runs: there are no meters to predict from")
    for name, upstream in _upstreams(facts):
        measured = _measured(facts, name)
        if measured is None:
            continue
        exchanges, seconds, length_s = measured
        # Who waits for a connection now would have one as well.
        waiting = 0 if facts.running is None else facts.running.upstreams[name].waiting
        mean = (seconds / length_s + waiting) / facts.workers / len(upstream.endpoints)
        needed = mean + _DEVIATIONS * math.sqrt(mean)
        most = upstream.pool.max
        if needed <= most:
            continue
        wanted = math.ceil(1.5 * needed)
        waiters = f", the {waiting} that wait for one included" if waiting else ""
        yield Finding(
            check="pool-size",
            severity="serious" if mean >= most else "warning",
            subject=f"upstreams.{name}.pool.max",
            seen=f"{exchanges / length_s:,.1f} requests a second of {seconds / exchanges * 1000:.1f} ms keep "
            f"{mean:.1f} connections of each worker to each endpoint in use{waiters}, "
            f"with peaks of {needed:.0f}; it may have {most}",
            why="what comes beyond waits for a connection, and is refused after pool.wait_timeout",
            mend=f"upstreams.{name}.pool = {{ max = {wanted}, idle = {math.ceil(needed)} }}, or more endpoints; if the "
            "upstream cannot bear it, a limit that says so",
            incident="ports",
        )


def _measured(facts: Facts, name: str) -> tuple[int, float, float] | None:
    """Exchanges, the seconds they took, and in which time: of what is over between the two looks, or of the whole life.

    Whichever predicts more: a look of two seconds misses the peak of the day, and a mean of the day the peak of now.
    """
    running, earlier = facts.running, facts.earlier_running
    now = None if running is None else running.upstreams.get(name)
    if running is None or now is None:
        return None
    spans = [(now.exchanges_total, now.seconds_total, running.uptime_s)]
    before = None if earlier is None or earlier.pid != running.pid else earlier.upstreams.get(name)
    if earlier is not None and before is not None:
        exchanges, seconds = now.exchanges_total - before.exchanges_total, now.seconds_total - before.seconds_total
        spans.append((exchanges, seconds, running.uptime_s - earlier.uptime_s))
    usable = [one for one in spans if one[0] >= _EXCHANGES_MIN and one[1] > 0 and one[2] > 0]
    return max(usable, key=lambda one: one[1] / one[2], default=None)


def check_waiting(facts: Facts) -> Iterator[Finding | Unseen]:
    """Exchanges that wait for a connection now."""
    for name, one in ({} if facts.running is None else facts.running.upstreams).items():
        if one.waiting:
            yield Finding(
                check="pool-waiting",
                severity="warning",
                subject=f"upstreams.{name}.pool",
                seen=f"{one.waiting} requests wait for one of {one.connections} connections",
                why="the pool is full: by load, or because the upstream has become slow",
                mend="`tidegate record show` tells which came first; then pool.max, or a limit",
                incident="ports",
            )


def check_limits_that_are_blind(facts: Facts) -> Iterator[Finding | Unseen]:
    """Upstreams in front of which no limit sees how many requests are under way."""
    if facts.gateway is None:
        return
    for name, upstream in _upstreams(facts):
        routes = [route for route in facts.gateway.routes if route.upstream == name]
        bounded = [
            route for route in routes if any(_sees_concurrency(one) for _, one in _limits_of(facts, name, route.limits))
        ]
        if not routes or len(bounded) == len(routes):
            continue
        bounds = facts.workers * upstream.pool.max
        example = next(route.name for route in routes if route not in bounded)
        yield Finding(
            check="blind-limits",
            severity="warning",
            subject=f"upstreams.{name}",
            seen=f"no limit on concurrency on the way to it (route {example}): {bounds:,} requests may be under way at "
            "each endpoint",
            why="a rate lets in as many when the upstream takes 800 ms as when it takes 50 ms: 16 times the load",
            mend=f'[limits.{name}-capacity] adaptive = "queue_delay", and upstreams.{name}.limits = '
            f'["{name}-capacity"]',
            incident="limiter",
        )


def _sees_concurrency(limit: Limit) -> bool:
    return limit.kind == "concurrency" and not limit.dry_run


def _limits_of(facts: Facts, name: str, of_route: tuple[str, ...] = ()) -> Iterator[tuple[str, Limit]]:
    """The limits on the way to an upstream: its own, and those of a route that leads there."""
    if facts.gateway is not None:
        for one in dict.fromkeys((*facts.gateway.upstreams[name].limits, *of_route)):
            yield one, facts.gateway.limits[one]


def check_limits_against_learned(facts: Facts) -> Iterator[Finding | Unseen]:
    """Limits that let in more than an adaptive limit of the same upstream has found that it can bear."""
    if facts.gateway is None or facts.running is None:
        return
    for name, _ in _upstreams(facts):
        routes = [route.limits for route in facts.gateway.routes if route.upstream == name]
        limits = dict(pair for of_route in (*routes, ()) for pair in _limits_of(facts, name, of_route))
        learned = {one: facts.running.learned[one] for one in limits if one in facts.running.learned}
        if not learned:
            continue
        least = min(learned, key=lambda one: learned[one])
        bearable = learned[least]
        service_s = _service_s(facts.running.upstreams.get(name))
        for limit_name, limit in limits.items():
            if limit.adaptive is not None or limit.key:
                continue
            asks = ""
            if limit.kind == "concurrency" and (limit.concurrency or 0) > bearable:
                asks = f"concurrency {limit.concurrency}"
                mend = f"limits.{limit_name}.concurrency = {bearable}"
            elif limit.rate is not None and service_s:
                count, period_s = parse_rate(limit.rate)
                if count / period_s * service_s > bearable:
                    asks = (
                        f"rate {limit.rate}, which at {service_s * 1000:.0f} ms a request is "
                        f"{count / period_s * service_s:,.0f} under way"
                    )
                mend = f'limits.{limit_name}.rate = "{max(1, int(bearable / service_s))}/s"'
            else:
                continue
            if asks:
                yield Finding(
                    check="limits-above-learned",
                    severity="warning",
                    subject=f"limits.{limit_name}",
                    seen=f"{asks}; {least} has learned that {name} bears {bearable}",
                    why="it never refuses before the upstream is overloaded: what it was set for it does not do",
                    mend=f"{mend}, or leave it to {least}",
                    incident="limiter",
                )


def _service_s(one: RunningUpstream | None) -> float:
    return 0.0 if one is None or one.exchanges_total < _EXCHANGES_MIN else one.seconds_total / one.exchanges_total


def check_confusable_peers(facts: Facts) -> Iterator[Finding | Unseen]:
    """Upstreams that share a host and differ in what makes a peer: what a pool keyed by a name would have mixed up."""
    peers = [
        (name, upstream, parse_address(endpoint.address))
        for name, upstream in _upstreams(facts)
        for endpoint in upstream.endpoints
    ]
    by_host: dict[str, dict[str, tuple[Upstream, Address]]] = {}
    for name, upstream, address in peers:
        by_host.setdefault(address.path or address.host.lower(), {}).setdefault(name, (upstream, address))
    for host, found in by_host.items():
        for (one, (first, here)), (other, (second, there)) in combinations(found.items(), 2):
            apart = _apart(first, here, second, there)
            if not apart:
                continue
            is_contradiction = here == there and (first.tls is None) != (second.tls is None)
            yield Finding(
                check="confusable-peers",
                severity="serious" if is_contradiction else "note",
                subject=f"upstreams.{one}, upstreams.{other}",
                seen=f"both lead to {host}, with {' and '.join(apart)}",
                why="a port speaks TLS or it does not: one of the two fails on each request"
                if is_contradiction
                else "a proxy whose pools are keyed by the host's name would send requests for one down a connection "
                "to the other; here a pool is keyed by all of it, so this is safe",
                mend=f"`openssl s_client -connect {there}` tells which; then set or remove the table tls"
                if is_contradiction
                else "nothing here; look at whatever stands before and behind the gateway",
                incident="crossed-pool",
            )


def _apart(first: Upstream, here: Address, second: Upstream, there: Address) -> list[str]:
    """In which parts of the peer the two are different."""
    apart = []
    if here.port != there.port:
        apart.append(f"ports {here.port} and {there.port}")
    if (first.tls is None) != (second.tls is None):
        apart.append("TLS and without")
    elif first.tls is not None and second.tls is not None:
        names = [_server_name(first.tls, here), _server_name(second.tls, there)]
        if names[0] != names[1]:
            apart.append(f"TLS names {names[0]} and {names[1]}")
        if (first.tls.cert, first.tls.verify, first.tls.ca) != (second.tls.cert, second.tls.verify, second.tls.ca):
            apart.append("different certificates or roots")
    if first.source_address != second.source_address:
        apart.append(f"source addresses {first.source_address or 'any'} and {second.source_address or 'any'}")
    return apart


def _server_name(tls: UpstreamTLS, address: Address) -> str:
    return tls.name or address.host


def _upstreams(facts: Facts) -> Iterator[tuple[str, Upstream]]:
    return iter(() if facts.gateway is None else facts.gateway.upstreams.items())


UPSTREAM_CHECKS = {
    "pool-shape": check_pool_shape,
    "pool-size": check_pool_size,
    "pool-waiting": check_waiting,
    "blind-limits": check_limits_that_are_blind,
    "limits-above-learned": check_limits_against_learned,
    "confusable-peers": check_confusable_peers,
}
