"""How an entry is written down."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.store.record import Entry, Head, boot_s, entry_of, pack, record_size, stored_key, unpack


@given(st.binary(max_size=100), st.binary(max_size=1000))
def test_what_is_packed_is_unpacked(meta, value):
    head = Head(7, len(meta), len(value), 0, 1.5, 2.5)
    record = pack(head, meta, value)
    assert len(record) == record_size(meta, len(value))
    assert unpack(record) == head
    assert entry_of(record) == (7, 0, len(value), Entry(value, meta, 1.5, 2.5))


def test_record_of_a_file_has_no_value():
    head = Head(7, 2, 1 << 30, 9, 1.5, 2.5)
    assert unpack(pack(head, b"ab")) == head
    assert entry_of(pack(head, b"ab")) == (7, 9, 1 << 30, Entry(b"", b"ab", 1.5, 2.5))


@pytest.mark.parametrize("cut", [0, 1, 39, 41])
def test_record_that_is_cut_is_none(cut):
    record = pack(Head(7, 2, 3, 0, 1.5, 2.5), b"ab", b"cde")
    with pytest.raises(ValueError, match="record"):
        unpack(record[:cut])
    with pytest.raises((ValueError, struct.error)):
        entry_of(record[:cut])


def test_key_is_written_as_it_is_unless_it_is_none_for_lmdb():
    assert stored_key(b"user:7") == b"user:7"
    assert stored_key(b"x" * 480) == b"x" * 480
    digests = {stored_key(key) for key in (b"", b"x" * 481, b"y" * 481, b"\xff", stored_key(b""))}
    assert len(digests) == 5
    assert all(0 < len(key) <= 511 and key[0] == 0xFF for key in digests)


def test_clock_runs_on_while_the_machine_sleeps():
    assert time.clock_gettime(time.CLOCK_BOOTTIME) - 60 < boot_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
