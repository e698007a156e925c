"""Metrics of what control takes once a second: saturation, the kernel's figures, how each upstream is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidegate.observe.kernel import LinkFigures
from tidegate.observe.metric_names import Families, Metric
from tidegate.observe.sample import Sample, UpstreamSample
from tidegate.observe.vitals import Vitals

__all__ = ["VITALS", "vital_families"]

_Value = float | None

SATURATION = Metric(
    "tidegate_saturation", "gauge", (), "how full the gateway is: the worst signal of the last 15 s over its bound"
)
SATURATION_SIGNAL = Metric(
    "tidegate_saturation_signal",
    "gauge",
    ("signal",),
    "the signals that saturation is the worst of, each held for 15 s",
)
WORKER_SATURATION = Metric(
    "tidegate_worker_saturation", "gauge", ("worker",), "the worst of the worker's own signals in the last 15 s"
)
ACCEPT_QUEUE = Metric(
    "tidegate_accept_queue", "gauge", ("worker",), "connections that wait in the worker's sockets to be accepted"
)
SUSPECTS_ITSELF = Metric(
    "tidegate_suspects_itself", "gauge", (), "1 while so many unrelated peers fail that the gateway may be the cause"
)
OF_GATEWAY = (SATURATION, SATURATION_SIGNAL, WORKER_SATURATION, ACCEPT_QUEUE, SUSPECTS_ITSELF)

UPSTREAM_FAILURES = Metric(
    "tidegate_upstream_failures_total",
    "counter",
    ("upstream",),
    "endpoints refused, reset, timed out or kept silent, retried attempts included",
)
UPSTREAM_OPEN = Metric("tidegate_upstream_pool_open", "gauge", ("upstream",), "connections to the upstream open now")
UPSTREAM_WAITING = Metric(
    "tidegate_upstream_pool_waiting", "gauge", ("upstream",), "exchanges that wait for a connection to the upstream now"
)
UPSTREAM_RTT = Metric(
    "tidegate_upstream_rtt_seconds",
    "gauge",
    ("upstream",),
    "smoothed round trip that the kernel measured on a connection, of the worker where it was longest",
)
UPSTREAM_RETRANSMITS = Metric(
    "tidegate_upstream_retransmits_total",
    "counter",
    ("upstream",),
    "segments sent again to the upstream, counted once a second for connections in use: a lower bound",
)
_OF_UPSTREAM: dict[Metric, Callable[[UpstreamSample], _Value]] = {
    UPSTREAM_FAILURES: lambda one: one.failures_total,
    UPSTREAM_OPEN: lambda one: one.open,
    UPSTREAM_WAITING: lambda one: one.waiting,
    UPSTREAM_RTT: lambda one: one.rtt_s,
    UPSTREAM_RETRANSMITS: lambda one: one.retransmits_total,
}

LINK_BYTES = Metric(
    "tidegate_link_bytes_total",
    "counter",
    ("interface", "direction"),
    "bytes received (in) and sent (out) by a network interface, of every program",
)
LINK_SPEED = Metric(
    "tidegate_link_speed_bytes_per_second", "gauge", ("interface",), "speed of the interface, where its driver says it"
)
OF_LINKS = (LINK_BYTES, LINK_SPEED)

_OF_MACHINE: dict[Metric, Callable[[Sample], _Value]] = {
    Metric(
        "tidegate_link_share", "gauge", (), "busiest direction of the busiest interface of known speed, over that speed"
    ): lambda sample: sample.link_share,
    Metric(
        "tidegate_machine_time_wait", "gauge", (), "TCP connections in TIME_WAIT, of every program"
    ): lambda sample: sample.kernel.time_wait,
    Metric("tidegate_machine_tcp_sockets", "gauge", (), "TCP sockets in use, of every program"): lambda sample: (
        sample.kernel.sockets_in_use
    ),
    Metric(
        "tidegate_machine_local_ports", "gauge", (), "local ports there are for connections to one destination"
    ): lambda sample: sample.kernel.ports,
    Metric(
        "tidegate_machine_local_ports_share",
        "gauge",
        (),
        "connections to upstreams and in TIME_WAIT over these ports, as if all had one destination: an upper bound",
    ): lambda sample: sample.ports_share,
    Metric(
        "tidegate_machine_listen_overflows_total",
        "counter",
        (),
        "connections that met a full accept queue, of every program on this machine: the kernel counts them together",
    ): lambda sample: sample.kernel.listen_overflows_total,
    Metric(
        "tidegate_machine_listen_drops_total",
        "counter",
        (),
        "connections dropped before they were accepted, for a full queue or another reason, of every program",
    ): lambda sample: sample.kernel.listen_drops_total,
    Metric(
        "tidegate_machine_segments_sent_total", "counter", (), "TCP segments sent, of every program"
    ): lambda sample: sample.kernel.sent_segments_total,
    Metric(
        "tidegate_machine_segments_retransmitted_total", "counter", (), "of these, the ones sent again"
    ): lambda sample: sample.kernel.retransmitted_segments_total,
    Metric("tidegate_machine_descriptors_open", "gauge", (), "descriptors open, of every program"): lambda sample: (
        sample.kernel.descriptors_open
    ),
    Metric(
        "tidegate_descriptors_share",
        "gauge",
        (),
        "descriptors of the worker that has most, over what a process may have (Linux 6.2 and newer)",
    ): lambda sample: sample.descriptors_share,
}

VITALS: tuple[Metric, ...] = (*OF_GATEWAY, *_OF_UPSTREAM, *OF_LINKS, *_OF_MACHINE)
"""Every one of them, in the order of the exposition."""


def vital_families(vitals: Vitals) -> Families:
    """Each metric with its samples: labels and value. One whose value is not known has none."""
    sample = vitals.sample
    if sample is None:
        return
    held = vitals.saturation
    yield SATURATION, [({}, held.value)]
    yield SATURATION_SIGNAL, [({"signal": name}, value) for name, value in held.signals.items()]
    yield WORKER_SATURATION, [({"worker": str(one.slot)}, one.value) for one in held.workers]
    yield ACCEPT_QUEUE, [({"worker": str(one.slot)}, one.queued) for one in sample.workers]
    yield SUSPECTS_ITSELF, [({}, int(vitals.suspicion.is_on))]
    for metric, of_upstream in _OF_UPSTREAM.items():
        values = [({"upstream": one.name}, of_upstream(one)) for one in sample.upstreams]
        yield metric, [(labels, value) for labels, value in values if value is not None]
    links = sample.kernel.links
    yield LINK_BYTES, list(_link_bytes(links))
    yield (
        LINK_SPEED,
        [({"interface": one.name}, one.speed_bytes_per_s) for one in links if one.speed_bytes_per_s is not None],
    )
    for metric, of_machine in _OF_MACHINE.items():
        known = of_machine(sample)
        yield metric, [] if known is None else [({}, known)]


def _link_bytes(links: tuple[LinkFigures, ...]) -> Iterator[tuple[dict[str, str], float]]:
    for one in links:
        yield {"interface": one.name, "direction": "in"}, one.received_bytes
        yield {"interface": one.name, "direction": "out"}, one.sent_bytes
