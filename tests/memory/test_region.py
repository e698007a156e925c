"""The shared region: made, attached, refused."""

import fcntl
import os
import subprocess
import sys

import pytest

from tidegate.memory.inflight import inflight_size
from tidegate.memory.layout import HEADER_SIZE, LAYOUT_VERSION
from tidegate.memory.region import Region, read_meters
from tidegate.memory.slot import SlotState


@pytest.fixture
def region():
    made = Region.create(slots=3, log_bytes=1 << 16, series=4)
    yield made
    made.close()


def test_another_mapping_sees_the_switch(region):
    other = Region.attach(region.fd)
    assert other.snapshot_number == 0
    region.snapshot_number = 7
    assert other.snapshot_number == 7
    assert other.slots == 3


def test_another_process_attaches_by_descriptor_number(region):
    code = (
        "import sys; from tidegate.memory.region import Region\n"
        "r = Region.attach(int(sys.argv[1])); s = r.slot(1)\n"
        "s.claim(4242, 3, 99); s.state = type(s.state).READY; s.prepared = 5; r.snapshot_number = 5\n"
        "m = s.take_meters(); m.count('exchanges_started', 12)\n"
        "assert s.take_log_ring().append(b'hello\\n')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(region.fd)], pass_fds=[region.fd], check=True)
    slot = region.slot(1)
    mark = slot.statistics()
    assert (mark.pid, mark.state, mark.generation, mark.prepared, mark.started_ns) == (4242, SlotState.READY, 3, 5, 99)
    assert region.snapshot_number == 5
    assert read_meters(region).counters["exchanges_started"] == 12
    assert read_meters(region, 0).counters["exchanges_started"] == 0
    assert slot.log_reader().read() == b"hello\n"


def test_descriptor_is_not_inherited_unless_passed_and_cannot_shrink(region):
    assert fcntl.fcntl(region.fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    with pytest.raises(PermissionError):
        os.ftruncate(region.fd, 10)
    with pytest.raises(PermissionError):
        os.ftruncate(region.fd, 1 << 30)


def test_mapping_outlives_the_descriptor(region):
    slot = region.slot(0)
    region.close()
    slot.heartbeat_ns = 17
    assert slot.heartbeat_ns == 17


def test_slots_do_not_share_words(region):
    for i in range(3):
        region.slot(i).claim(100 + i, i, i)
    assert [region.slot(i).statistics()[1:4] for i in range(3)] == [
        (100, SlotState.STARTING, 0),
        (101, SlotState.STARTING, 1),
        (102, SlotState.STARTING, 2),
    ]


def test_slot_that_does_not_exist_is_refused(region):
    with pytest.raises(IndexError, match="3 slots"):
        region.slot(3)
    with pytest.raises(IndexError):
        region.slot(-1)


def sealed_file(content: bytes, size: int, seal: bool = True) -> int:
    fd = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, content, 0)
    if seal:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def damaged(region, at, raw):
    size = os.fstat(region.fd).st_size
    header = bytearray(os.pread(region.fd, HEADER_SIZE, 0))
    header[at : at + len(raw)] = raw
    return sealed_file(bytes(header), size)


@pytest.mark.parametrize(
    ("at", "raw", "says"),
    [
        (0, b"NGINX", "not a Tidegate region"),
        (8, (LAYOUT_VERSION + 1).to_bytes(4, "little"), f"layout version {LAYOUT_VERSION + 1}"),
        (16, (1).to_bytes(8, "little"), "the region says it has 1 bytes"),
        (24, (0).to_bytes(4, "little"), "0 slots"),
        (24, (1024).to_bytes(4, "little"), "section"),
        (28, (4000).to_bytes(4, "little"), "4000 sections"),
        (256 + 16, (1 << 40).to_bytes(8, "little"), "section 'marks'"),
    ],
)
def test_damaged_header_is_refused_by_name(region, at, raw, says):
    fd = damaged(region, at, raw)
    try:
        with pytest.raises(ValueError, match=says):
            Region.attach(fd)
    finally:
        os.close(fd)


def test_file_that_could_shrink_or_is_too_small_is_refused(region, tmp_path):
    fd = sealed_file(os.pread(region.fd, HEADER_SIZE, 0), region.mapping.size, seal=False)
    with pytest.raises(ValueError, match="sealed"):
        Region.attach(fd)
    os.close(fd)
    fd = sealed_file(b"", 100)
    with pytest.raises(ValueError, match="100 bytes"):
        Region.attach(fd)
    os.close(fd)
    with (tmp_path / "plain").open("w+b") as plain, pytest.raises(ValueError, match="no memory file"):
        Region.attach(plain.fileno())


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (5000, 1, 1)])
def test_senseless_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match=r"expected|slots"):
        Region.create(*arguments)


def test_limits_have_room_when_it_is_asked_for() -> None:
    region = Region.create(1, 1, 1, rates=4096, quotas=1, inflight_blocks=3)
    assert [region.mapping.layout.sections[name].size for name in ("rates", "quotas", "inflight")] == [
        4096,
        1,
        inflight_size(3, 1),
    ]
    region.close()
    plain = Region.create(1, 1, 1)
    assert [plain.mapping.layout.sections[name].size for name in ("rates", "quotas", "inflight")] == [0, 0, 0]
    plain.close()
    with pytest.raises(ValueError, match="got 0, -1 and 0"):
        Region.create(1, 1, 1, quotas=-1)


def test_all_that_a_process_has_to_inherit_is_named_and_closed() -> None:
    region = Region.create(2)
    inherited = region.descriptors
    assert len(inherited) == 3
    for fd in inherited:
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    region.close()
    for fd in inherited:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_secret_is_the_same_for_all_who_attach_and_another_for_each_region() -> None:
    one, other = Region.create(1), Region.create(1)
    attached = Region.attach(os.dup(one.fd))
    assert attached.secret == one.secret != other.secret
    assert len(one.secret) == 32
