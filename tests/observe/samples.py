"""Samples with everything at rest, to be changed where a test looks."""

import msgspec

from tidegate.observe.kernel import KernelFigures
from tidegate.observe.sample import Sample, UpstreamSample, WorkerSample

KERNEL = KernelFigures(*[None] * 11, links=())
WORKER = WorkerSample(
    slot=0, pid=100, state="ready", heartbeat_age_s=0.02, loop_lag_s=0.0, connections=0, exchanges=0, upgrades=0,
    queued=0, exchanges_total=0, exchanges_per_s=0.0, accepted_total=0, accepted_per_s=0.0, upstream_open=0,
    upstream_waiting=0, queue_delay_s=0.0, pool_share=0.0, descriptors=None, clients_asked=0, clients_failing=0,
)  # fmt: skip
UPSTREAM = UpstreamSample(
    name="store", exchanges_total=0, exchanges_per_s=0.0, seconds_total=0.0, seconds_per_s=0.0, bytes_total=0,
    bytes_per_s=0.0, failures_total=0, failures_per_s=0.0, open=0, waiting=0, endpoints_asked=0, endpoints_failing=0,
    rtt_s=None, retransmits_total=0, retransmits_per_s=0.0,
)  # fmt: skip
SAMPLE = Sample(
    at_ns=0, unix_s=0.0, step_s=1.0, workers=(), routes=(), upstreams=(), kernel=KERNEL, listen_overflows_per_s=0.0,
    retransmits_per_s=0.0, retransmit_share=0.0, link_share=None, ports_share=None, descriptors_share=None,
)  # fmt: skip


def worker(slot=0, **changed):
    return msgspec.structs.replace(WORKER, slot=slot, **changed)


def upstream(name, asked=0, failing=0, **changed):
    return msgspec.structs.replace(UPSTREAM, name=name, endpoints_asked=asked, endpoints_failing=failing, **changed)


def sample(*workers, **changed):
    return msgspec.structs.replace(SAMPLE, workers=workers, **changed)
