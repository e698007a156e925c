"""Metrics of the latest second; that all are there with type and help is tested in test_metrics."""

import msgspec
import pytest
from tests.observe.samples import KERNEL, sample, upstream, worker

from tidegate.memory.region import Region
from tidegate.observe.kernel import LinkFigures
from tidegate.observe.saturation import SaturationBounds, saturation_of
from tidegate.observe.vital_metrics import VITALS, vital_families
from tidegate.observe.vitals import Vitals


@pytest.fixture
def vitals():
    region = Region.create(1)
    yield Vitals(region, SaturationBounds(connections=10, backlog=10), say=print)
    region.close()


def families_of(vitals, taken):
    vitals.sample = taken
    vitals._held.take(0.0, saturation_of(taken, vitals.bounds))
    return {metric.name: samples for metric, samples in vital_families(vitals)}


def test_before_the_first_second_nothing_is_claimed(vitals):
    assert list(vital_families(vitals)) == []


def test_what_is_not_known_has_no_sample_rather_than_a_zero(vitals):
    families = families_of(vitals, sample(worker(), upstreams=(upstream("store"),)))
    assert set(families) == {metric.name for metric in VITALS}
    for name in ("tidegate_link_share", "tidegate_machine_time_wait", "tidegate_upstream_rtt_seconds"):
        assert families[name] == []


def test_labels_name_worker_signal_upstream_and_interface(vitals):
    links = (LinkFigures("eth0", 5, 6, 1000), LinkFigures("veth1", 7, 8, None))
    families = families_of(
        vitals,
        sample(
            worker(3, connections=20, queued=4),
            upstreams=(upstream("store", rtt_s=0.002, failures_total=9, retransmits_total=2, open=5, waiting=1),),
            kernel=msgspec.structs.replace(KERNEL, links=links, time_wait=7),
        ),
    )
    assert families["tidegate_saturation"] == [({}, 2.0)]
    assert ({"signal": "in_flight"}, 2.0) in families["tidegate_saturation_signal"]
    assert families["tidegate_worker_saturation"] == [({"worker": "3"}, 2.0)]
    assert families["tidegate_accept_queue"] == [({"worker": "3"}, 4)]
    assert families["tidegate_upstream_rtt_seconds"] == [({"upstream": "store"}, 0.002)]
    assert families["tidegate_upstream_failures_total"] == [({"upstream": "store"}, 9)]
    assert families["tidegate_upstream_retransmits_total"] == [({"upstream": "store"}, 2)]
    assert families["tidegate_link_bytes_total"][0] == ({"interface": "eth0", "direction": "in"}, 5)
    assert families["tidegate_link_speed_bytes_per_second"] == [({"interface": "eth0"}, 1000)]
    assert families["tidegate_machine_time_wait"] == [({}, 7)]
