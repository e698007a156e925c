"""Judges ports, backlogs, connection tracking and the wire."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tidegate.config.values import parse_address
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Unseen

__all__ = ["NETWORK_CHECKS"]

_PORTS_USUAL = 28_000  # the kernel's own range has 28,232
_BACKLOG_SMALL = 128
_FULL = 0.8
_RETRANSMITS = 0.01
_SEGMENTS_MIN = 1_000  # fewer say nothing about a share of them


def check_local_ports(facts: Facts) -> Iterator[Finding | Unseen]:
    """The range of local ports against what pools may open to one address, and against what is taken."""
    kernel = facts.machine.kernel
    ports = kernel.ports
    if ports is None:
        yield Unseen("local-ports", "net.ipv4.ip_local_port_range cannot be read")
        return
    subject = "net.ipv4.ip_local_port_range"
    seen = f"{kernel.first_port} to {kernel.last_port}: {ports:,} ports"
    widen = 'sysctl -w net.ipv4.ip_local_port_range="10240 65535" (and in /etc/sysctl.d)'
    for name, most in _connections_to_one_address(facts):
        if most > ports:
            yield Finding(
                check="local-ports",
                severity="serious",
                subject=f"upstreams.{name}.pool.max",
                seen=f"{facts.workers} workers may open {most:,} connections to one address, and there are {ports:,} "
                "local ports",
                why="the next connection fails with EADDRNOTAVAIL, and with it its request",
                mend=f"upstreams.{name}.pool.max = {max(1, ports // (2 * facts.workers))}, or {widen}",
                incident="ports",
            )
    if ports < _PORTS_USUAL:
        yield Finding(
            check="local-ports",
            severity="warning",
            subject=subject,
            seen=seen,
            why="each connection to an upstream takes one for its life and for a minute after it was closed here",
            mend=widen,
            incident="ports",
        )
    waiting = kernel.time_wait
    if waiting is not None and waiting > ports / 10:
        yield Finding(
            check="local-ports",
            severity="serious" if waiting > ports / 2 else "warning",
            subject="TIME_WAIT",
            seen=f"{waiting:,} connections that this machine has closed hold their ports; there are {ports:,}",
            why="somebody opens a connection for each request, or keeps fewer than it needs",
            mend="`ss -tan state time-wait` tells to whom: raise pool.idle there, and the server's keep-alive timeout",
            incident="ports",
        )


def _connections_to_one_address(facts: Facts) -> Iterator[tuple[str, int]]:
    for name, upstream in ({} if facts.gateway is None else facts.gateway.upstreams).items():
        addresses = [parse_address(one.address) for one in upstream.endpoints]
        if any(not one.is_unix for one in addresses):
            yield name, facts.workers * upstream.pool.max


def check_tw_reuse(facts: Facts) -> Iterator[Finding | Unseen]:
    """Whether a port in TIME_WAIT may be used again for a new outgoing connection."""
    reuse = facts.machine.tcp_tw_reuse
    if reuse is None:
        yield Unseen("tw-reuse", "net.ipv4.tcp_tw_reuse cannot be read")
        return
    elsewhere = any(not one.is_unix and not (one.ip and one.ip.is_loopback) for _, one in facts.endpoints())
    if reuse == 0 or (reuse == 2 and elsewhere):
        yield Finding(
            check="tw-reuse",
            severity="warning" if reuse == 0 else "note",
            subject="net.ipv4.tcp_tw_reuse",
            seen=f"{reuse}: " + ("never" if reuse == 0 else "on loopback only"),
            why="ports of closed connections stay taken for a minute; with 1 they serve new outgoing connections after "
            "a second, which is safe with TCP timestamps",
            mend="sysctl -w net.ipv4.tcp_tw_reuse=1",
            incident="ports",
        )


def check_backlogs(facts: Facts) -> Iterator[Finding | Unseen]:
    """What listeners ask for against what the kernel allows."""
    most = facts.machine.somaxconn
    if most is None:
        yield Unseen("backlog", "net.core.somaxconn cannot be read")
    for index, listener in enumerate(() if facts.gateway is None else facts.gateway.listeners):
        subject = f"listeners[{index}].backlog"
        if most is not None and listener.backlog > most:
            yield Finding(
                check="backlog",
                severity="warning",
                subject=subject,
                seen=f"{listener.backlog} is asked for, net.core.somaxconn cuts it to {most}",
                why="when workers do not accept for a moment, what comes beyond is dropped, and its client tries again "
                "after a second",
                mend=f"sysctl -w net.core.somaxconn={listener.backlog}",
                incident="listen-overflow",
            )
        if listener.backlog < _BACKLOG_SMALL:
            yield Finding(
                check="backlog",
                severity="warning",
                subject=subject,
                seen=f"{listener.backlog} connections may wait to be accepted",
                why="a pause of some milliseconds is enough to fill that",
                mend=f"{subject.rpartition('.')[2]} = 4096",
                incident="listen-overflow",
            )
    half_open = facts.machine.tcp_max_syn_backlog
    if facts.machine.tcp_syncookies == 0 and half_open is not None and half_open < 4096:
        yield Finding(
            check="backlog",
            severity="warning",
            subject="net.ipv4.tcp_syncookies",
            seen=f"0, and at most {half_open} connections may be half open",
            why="a flood of first packets alone keeps all others out",
            mend="sysctl -w net.ipv4.tcp_syncookies=1",
            incident="listen-overflow",
        )


def check_accept_overflows(facts: Facts) -> Iterator[Finding | Unseen]:
    """Connections that met a full accept queue, of every program here."""
    total = facts.machine.kernel.listen_overflows_total
    if total is None:
        yield Unseen("accept-overflows", "/proc/net/netstat cannot be read")
        return
    before = None if facts.earlier_machine is None else facts.earlier_machine.kernel.listen_overflows_total
    new = 0 if before is None else total - before
    if total:
        since = f", {new:,} of them in the last {_seconds(facts):.0f} s" if new else " since this machine started"
        yield Finding(
            check="accept-overflows",
            severity="serious" if new > 0 else "warning",
            subject="ListenOverflows",
            seen=f"{total:,} connections met a full accept queue{since}",
            why="their clients waited for a second or more, or gave up; no program here was told",
            mend="`ss -ltn` shows whose Recv-Q is near its Send-Q: a larger backlog there, and net.core.somaxconn",
            incident="listen-overflow",
        )


def check_connection_tracking(facts: Facts) -> Iterator[Finding | Unseen]:
    """The firewall's table of connections, where it is in use."""
    count, most = facts.machine.conntrack_count, facts.machine.conntrack_max
    if count is None or most is None or not most:
        return
    share = count / most
    wanted = _connections_wanted(facts)
    if share > _FULL or (count and wanted > most):
        yield Finding(
            check="connection-tracking",
            severity="serious" if share > _FULL else "warning",
            subject="net.netfilter.nf_conntrack_max",
            seen=f"{count:,} of {most:,} places are taken"
            + (f", and this configuration may have {wanted:,} connections" if wanted > most else ""),
            why="packets of connections that find no place are dropped, whoever they are for",
            mend=f"sysctl -w net.netfilter.nf_conntrack_max={_power_of_two(max(2 * count, wanted, 2 * most))}, or "
            "leave this traffic untracked (iptables -t raw … -j CT --notrack)",
        )


def _connections_wanted(facts: Facts) -> int:
    if facts.gateway is None:
        return 0
    said = facts.gateway.server.max_connections
    clients = 65_536 if said == "auto" else said
    return clients + sum(most for _, most in _connections_to_one_address(facts))


def check_wire(facts: Facts) -> Iterator[Finding | Unseen]:
    """Segments sent again, and links that are full, between the two looks."""
    if facts.earlier_machine is None:
        yield Unseen("wire", "it was looked once only (--seconds 0)")
        return
    kernel, before = facts.machine.kernel, facts.earlier_machine.kernel
    sent = _grown(kernel.sent_segments_total, before.sent_segments_total)
    again = _grown(kernel.retransmitted_segments_total, before.retransmitted_segments_total)
    if sent >= _SEGMENTS_MIN and again / sent > _RETRANSMITS:
        yield Finding(
            check="wire",
            severity="warning",
            subject="retransmits",
            seen=f"{again:,} of {sent:,} segments were sent again ({again / sent:.1%})",
            why="the network loses packets, or somebody does not come to read",
            mend="`tidegate doctor --live` tells towards whom; then cable, switch, firewall or that host",
        )
    earlier = {one.name: one for one in before.links}
    for link in kernel.links:
        was = earlier.get(link.name)
        if was is None or link.speed_bytes_per_s is None or _seconds(facts) <= 0:
            continue
        busiest = max(link.sent_bytes - was.sent_bytes, link.received_bytes - was.received_bytes)
        share = busiest / _seconds(facts) / link.speed_bytes_per_s
        if share > _FULL:
            yield Finding(
                check="wire",
                severity="serious",
                subject=link.name,
                seen=f"{share:.0%} of its speed in use",
                why="heartbeats, health checks and small replies wait behind whatever fills it",
                mend="`tidegate record show` tells which routes and upstreams have the bytes; big keys are below",
                incident="stampede",
            )


def _grown(now: int | None, before: int | None) -> int:
    return 0 if now is None or before is None else max(0, now - before)


def _seconds(facts: Facts) -> float:
    return 0.0 if facts.earlier_machine is None else facts.machine.at_s - facts.earlier_machine.at_s


def _power_of_two(least: int) -> int:
    return int(2 ** math.ceil(math.log2(least)))


NETWORK_CHECKS = {
    "local-ports": check_local_ports,
    "tw-reuse": check_tw_reuse,
    "backlog": check_backlogs,
    "accept-overflows": check_accept_overflows,
    "connection-tracking": check_connection_tracking,
    "wire": check_wire,
}
