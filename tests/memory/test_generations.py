"""Numbers that change when something is invalidated."""

from __future__ import annotations

import mmap
import subprocess
import sys

import pytest

from tidegate.memory.generations import GENERATION_SLOTS, GENERATIONS_SIZE, Generations
from tidegate.memory.region import Region


def test_a_stamp_changes_its_slot_and_the_epoch_once() -> None:
    one = Generations(bytearray(GENERATIONS_SIZE))
    assert one.read((0, 7, GENERATION_SLOTS - 1)) == (0, 0, 0) and one.current_epoch() == 0
    assert one.stamp(7, 2**64 - 1)
    assert not one.stamp(7, 2**64 - 1), "heard of twice"
    assert one.read((6, 7, 8)) == (0, 2**64 - 1, 0) and one.current_epoch() == 1
    assert one.stamp(7, 5) and one.current_epoch() == 2


def test_a_version_is_kept_beside_them() -> None:
    memory = bytearray(GENERATIONS_SIZE)
    one, other = Generations(memory), Generations(memory)
    assert one.version == 0
    one.version = 2**63
    assert other.version == 2**63 and one.current_epoch() == 0 and one.read((0,)) == (0,)


@pytest.mark.parametrize("slot", [-1, GENERATION_SLOTS, 10**9])
def test_there_are_so_many_slots(slot: int) -> None:
    one = Generations(bytearray(GENERATIONS_SIZE))
    with pytest.raises(IndexError):
        one.read((slot,))
    with pytest.raises(IndexError):
        one.stamp(slot, 1)


def test_memory_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Generations(bytearray(GENERATIONS_SIZE - 1))
    with pytest.raises((BufferError, TypeError)):
        Generations(bytes(GENERATIONS_SIZE))


def test_the_memory_stays_as_long_as_somebody_looks_at_it() -> None:
    memory = mmap.mmap(-1, GENERATIONS_SIZE)
    one = Generations(memory)
    with pytest.raises(BufferError):
        memory.close()
    one.stamp(1, 2)
    assert one.read((1,)) == (2,)
    del one
    memory.close()


def test_another_process_sees_it() -> None:
    region = Region.create(1)
    code = (
        "import sys; from tidegate.memory.region import Region\n"
        "Region.attach(int(sys.argv[1])).generations().stamp(12, 34)\n"
    )
    here = region.generations()
    subprocess.run([sys.executable, "-c", code, str(region.fd)], pass_fds=[region.fd], check=True)
    assert here.read((12,)) == (34,) and here.current_epoch() == 1
    region.close()
    assert here.read((12,)) == (34,), "the mapping outlives the descriptor"


def test_numbers_hold_as_long_as_reading_them_anew_would_find_the_same() -> None:
    one = Generations(bytearray(GENERATIONS_SIZE))
    slots = (1, 7, GENERATION_SLOTS - 1)
    one.stamp(7, 2**64 - 1)
    marks = one.read(slots)
    assert one.hold(slots, marks) and one.hold((), ())
    assert not one.hold(slots, marks[:2]) and not one.hold(slots, (0, -1, 0))
    one.stamp(GENERATION_SLOTS - 1, 5)
    assert not one.hold(slots, marks) and one.hold(slots[:2], marks[:2])
    with pytest.raises(IndexError):
        one.hold((GENERATION_SLOTS,), (0,))
