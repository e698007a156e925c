"""What control takes once a second, from real shared memory."""

import msgspec
import pytest
from tests.observe.samples import KERNEL

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.kernel import Kernel
from tidegate.observe.saturation import SaturationBounds
from tidegate.observe.vitals import Vitals, bounds_of

SECOND = 1_000_000_000


class Quiet(Kernel):
    def read(self):
        return msgspec.structs.replace(KERNEL)


class Watched:
    """Vitals with a clock of their own, and one worker that beats."""

    def __init__(self, region):
        self.region, self.now_ns, self.said = region, SECOND, []
        self.slot = region.slot(0)
        self.slot.claim(100, 1, self.now_ns)
        self.slot.state = SlotState.READY
        self.meters = self.slot.take_meters()
        self.vitals = Vitals(
            region,
            SaturationBounds(connections=100, backlog=10),
            say=lambda kind, message, level="warning", **fields: self.said.append((kind, level, message)),
            kernel=Quiet(),
            clock_ns=lambda: self.now_ns,
        )

    def second(self, failing=0):
        self.now_ns += SECOND
        self.slot.heartbeat_ns = self.now_ns
        for name in ("orders", "store"):
            self.meters.record_upstream(self.meters.series_index("upstream", name), asked=3, failing=failing)
        return self.vitals.take()


@pytest.fixture
def watched():
    region = Region.create(2)
    yield Watched(region)
    region.close()


def test_saturation_is_that_of_the_seconds_taken(watched):
    watched.meters.set("connections_open", 50)
    watched.second()
    assert watched.vitals.saturation.value == 0.5
    watched.meters.set("connections_open", 10)
    watched.second()
    assert watched.vitals.saturation.value == 0.5
    assert watched.vitals.sample.workers[0].connections == 10


def test_who_listens_gets_each_second(watched):
    heard = []
    watched.vitals.listeners.append(lambda sample, saturation: heard.append((sample.at_ns, saturation.value)))
    watched.second()
    watched.second()
    assert heard == [(2 * SECOND, 0.0), (3 * SECOND, 0.0)]


def test_suspicion_is_told_to_every_slot_while_it_lasts_and_said_once(watched):
    watched.second()
    assert watched.slot.suspected_until_ns == 0
    for _ in range(3):
        watched.second(failing=3)
        assert {watched.region.slot(at).suspected_until_ns for at in range(2)} == {watched.now_ns + 5 * SECOND}
    assert watched.vitals.suspicion.is_on
    for _ in range(3):
        watched.second()
    assert not watched.vitals.suspicion.is_on
    assert watched.slot.suspected_until_ns == 0
    (began, ended) = watched.said
    assert began[:2] == ("suspects_itself", "error")
    assert "6 of 6 peers failed" in began[2]
    assert ended == ("suspects_itself_no_more", "info", "peers answer again, after 5 s")


def test_a_new_control_takes_back_what_the_old_one_suspected(watched):
    watched.slot.suspected_until_ns = 99 * SECOND
    Vitals(watched.region, watched.vitals.bounds, say=print, kernel=Quiet())
    assert watched.slot.suspected_until_ns == 0


def test_bounds_are_a_workers_share_and_its_tcp_backlogs():
    gateway = Gateway(
        server=Server(max_connections=100),
        listeners=(
            Listener(bind="127.0.0.1:1", backlog=50),
            Listener(bind="127.0.0.1:2", backlog=20),
            Listener(bind="unix:/tmp/one", backlog=90),
        ),
    )
    assert bounds_of(gateway, 3, backlog_max=40) == SaturationBounds(connections=34, backlog=60)
    assert bounds_of(gateway, 3, backlog_max=None) == SaturationBounds(connections=34, backlog=70)
