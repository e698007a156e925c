"""Words about endpoints: written by the control that began last, read by everybody."""

import subprocess
import sys

import pytest

from tidegate.memory.health import ENDPOINTS_MAX, HealthReader, HealthWriter
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize


@pytest.fixture
def region():
    made = Region.create(slots=1)
    yield made
    made.close()


def test_what_control_publishes_is_read_at_once_by_everybody(region):
    writer, reader = HealthWriter(region.mapping), HealthReader(region.mapping)
    last = ENDPOINTS_MAX - 1
    assert reader.read(0) == reader.read(last) == 0, "nothing is known at first"
    assert writer.publish(0, 7)
    assert writer.publish(last, 2**32 - 1)
    other = HealthReader(Region.attach(region.fd).mapping)
    assert (other.read(0), other.read(1), other.read(last)) == (7, 0, 2**32 - 1)


def test_a_control_that_was_replaced_writes_nothing_more(region):
    old = HealthWriter(region.mapping)
    assert old.publish(3, 11)
    new = HealthWriter(region.mapping)
    assert new.term > old.term
    reader = HealthReader(region.mapping)
    assert reader.read(3) == 11, "the new one goes on from what was known"
    assert not old.publish(3, 12)
    assert not old.publish(4, 12), "nor where the new one has published nothing yet"
    assert new.publish(3, 13)
    assert (reader.read(3), reader.read(4)) == (13, 0)


def test_an_endpoint_without_a_word_is_unknown_and_cannot_be_published(region):
    assert HealthReader(region.mapping).read(ENDPOINTS_MAX) == 0
    assert HealthReader(region.mapping).read(2**32 - 1) == 0
    with pytest.raises(IndexError, match=f"no endpoint {ENDPOINTS_MAX}"):
        HealthWriter(region.mapping).publish(ENDPOINTS_MAX, 1)


def test_controls_in_other_processes_take_over_in_the_order_they_begin(region):
    code = (
        "import sys; from tidegate.memory.region import Region; from tidegate.memory.health import HealthWriter\n"
        "writer = HealthWriter(Region.attach(int(sys.argv[1])).mapping); print(writer.publish(1, 50), flush=True)\n"
        "sys.stdin.read(1); print(writer.publish(1, 51), writer.publish(2, 51))\n"
    )
    asked = [sys.executable, "-c", code, str(region.fd)]
    with subprocess.Popen(asked, pass_fds=[region.fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as old:
        assert old.stdout.readline() == b"True\n"
        new = HealthWriter(region.mapping)
        assert HealthReader(region.mapping).read(1) == 50
        assert new.publish(1, 60)
        assert old.communicate(b"x", timeout=30)[0] == b"False False\n"
    reader = HealthReader(region.mapping)
    assert (reader.read(1), reader.read(2)) == (60, 0)
