"""What is in a store: bounds, order of eviction, and that all tables agree, over random traffic."""

import os
import struct

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.memory.store.ledger import Ledger, Totals, room_for, weigh
from tidegate.memory.store.record import Head, record_size, unpack

MIB = 1 << 20
LATE_S = 1e9
BOUND = 200_000


def cells_for(count):
    return memoryview(bytearray(count * 8)).cast("Q")


@pytest.fixture
def make(tmp_path):
    made = []

    def ledger(max_bytes=BOUND, cells=100, *, is_new=True):
        for one in made:
            one.close()
        made[:] = [Ledger(tmp_path / "1.mdb", max_bytes, cells_for(cells), is_new=is_new)]
        return made[0]

    yield ledger
    for one in made:
        one.close()


def put(ledger, key, value, now_s, *, expires_s=LATE_S, meta=b"", file_size=0):
    """Stores as a generation does; returns the files that may be unlinked."""
    weight = weigh(key, record_size(meta, len(value)), file_size)
    unlinked = []
    change = ledger.change(now_s)
    while not change.make_room(weight):
        change.commit()
        unlinked += change.unlinked
        change = ledger.change(now_s)
    file = change.next_file() if file_size else 0
    change.put(key, Head(0, len(meta), file_size or len(value), file, now_s, expires_s), meta, value)
    change.commit()
    return unlinked + change.unlinked


def read(ledger, key, now_s):
    """Reads as a store does, and leaves the time in the cell."""
    record = ledger.read(key)
    if record is not None:
        ledger._cells[unpack(record).cell] = int(now_s * 1e6)
    return record


def every(ledger, kind=b""):
    """All that is there of a kind, without its first byte."""
    with ledger.environment.begin() as txn:
        return {key[1:]: value for key, value in txn.cursor() if key.startswith(kind)}


def check(ledger):
    """Everything agrees with each other and with the sums."""
    cells = {struct.unpack(">I", key)[0]: value for key, value in every(ledger, b"c").items()}
    heads = {key: unpack(record) for key, record in every(ledger, b"e").items()}
    totals = ledger.totals()
    assert {value[32:]: cell for cell, value in cells.items()} == {key: head.cell for key, head in heads.items()}
    facts = {cell: struct.unpack_from("<QQQQ", value) for cell, value in cells.items()}
    ordered = {struct.unpack(">QI", key)[::-1] for key in every(ledger, b"o")}
    assert ordered == {(cell, fact[0]) for cell, fact in facts.items()}
    deadlines = {struct.unpack(">QI", key)[::-1] for key in every(ledger, b"d")}
    assert deadlines == {(cell, fact[1]) for cell, fact in facts.items()}
    files = {struct.unpack(">Q", key)[0] for key in every(ledger, b"l")}
    assert files == {head.file for head in heads.values() if head.file}
    free = {struct.unpack(">I", key)[0] for key in every(ledger, b"f")}
    assert free | set(cells) == set(range(totals.cells)) and not free & set(cells)
    assert totals.entries == len(heads) == totals.small + totals.large
    assert totals.large == len(files)
    assert totals.bytes == sum(fact[2] for fact in facts.values()) <= ledger.max_bytes


KEYS = st.integers(0, 30).map(lambda n: b"k%d" % n)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 60_000), st.booleans()),
        st.tuples(st.just("read"), KEYS, st.just(0), st.just(False)),
        st.tuples(st.just("delete"), KEYS, st.just(0), st.just(False)),
        st.tuples(st.just("reopen"), KEYS, st.just(0), st.just(False)),
    ),
    max_size=80,
)


@pytest.mark.parametrize("cells", [12, 1000])
def test_random_traffic_evicts_by_last_use_and_within_the_bounds(tmp_path_factory, cells):
    @settings(max_examples=40)
    @given(STEPS)
    def check_traffic(steps):
        path = tmp_path_factory.mktemp("ledger") / "1.mdb"
        words = cells_for(cells)
        ledger = Ledger(path, BOUND, words, is_new=True)
        model = {}  # key → (weight, is it a file), the one used longest ago first
        files = set()
        try:
            for now_s, (what, key, size, is_large) in enumerate(steps, 1000):
                if what == "put":
                    value = b"" if is_large else os.urandom(size)
                    weight = weigh(key, record_size(b"m", len(value)), size + 1 if is_large else 0)
                    gone = put(ledger, key, value, now_s, meta=b"m", file_size=size + 1 if is_large else 0)
                    while sum(known for known, _ in model.values()) + weight > BOUND or len(model) == cells:
                        del model[next(iter(model))]
                    model.pop(key, None)
                    model[key] = (weight, is_large)
                    files -= set(gone)
                    files |= {unpack(ledger.read(key)).file} - {0}
                elif what == "read":
                    assert (read(ledger, key, now_s) is not None) == (key in model)
                    if key in model:
                        model[key] = model.pop(key)
                elif what == "delete":
                    with ledger.change(now_s) as change:
                        assert change.remove(key) == (key in model)
                    files -= set(change.unlinked)
                    model.pop(key, None)
                else:
                    ledger.close()
                    ledger = Ledger(path, BOUND, words, is_new=False)
            assert set(every(ledger, b"e")) == set(model)
            assert ledger.totals().bytes == sum(weight for weight, _ in model.values())
            assert files == {unpack(record).file for record in every(ledger, b"e").values()} - {0}
            check(ledger)
        finally:
            ledger.close()

    check_traffic()


def test_hot_entry_outlives_a_flood_of_cold_ones(make):
    ledger = make(BOUND, 10_000)
    put(ledger, b"hot", bytes(20_000), 1.0)
    for now_s in range(2, 500):
        put(ledger, b"cold%d" % now_s, bytes(5_000), now_s)
        if now_s % 10 == 0:
            assert read(ledger, b"hot", now_s) is not None
    assert ledger.totals().evictions > 400
    check(ledger)


def test_many_hot_entries_do_not_keep_a_cold_one(make):
    """More of them were used since they were ordered than one change looks at."""
    ledger = make(2 * MIB, 10_000)
    for i in range(2_000):
        put(ledger, b"hot%d" % i, b"v", 1.0 + i / 10_000)
    put(ledger, b"cold", bytes(1 * MIB), 2.0)
    for i in range(2_000):
        read(ledger, b"hot%d" % i, 3.0)
    put(ledger, b"new", bytes(1 * MIB), 4.0)
    assert ledger.read(b"cold") is None
    assert ledger.totals().entries == 2_001
    check(ledger)


def test_entries_that_are_used_without_end_can_be_evicted_all_the_same(make):
    """A use after the change began does not order an entry anew, or a busy store would never find one to evict."""
    ledger = make(BOUND, 100)
    for i in range(20):
        put(ledger, b"k%d" % i, b"v", 1.0)
        read(ledger, b"k%d" % i, 1e6)
    put(ledger, b"new", bytes(180_000), 2.0)
    assert ledger.read(b"new") is not None
    check(ledger)


def test_change_that_is_not_committed_changes_nothing(make):
    ledger = make()
    put(ledger, b"k", b"v", 1.0)
    before = every(ledger)

    def fail():
        with ledger.change(2.0) as change:
            change.remove(b"k")
            raise RuntimeError("something")

    with pytest.raises(RuntimeError, match="something"):
        fail()
    assert every(ledger) == before


def test_expired_entries_are_removed_as_others_come(make):
    ledger = make()
    for i in range(10):
        put(ledger, b"k%d" % i, b"v", 1.0, expires_s=5.0 + i)
    put(ledger, b"new", b"v", 10.5)
    totals = ledger.totals()
    assert (totals.entries, totals.expirations, totals.evictions) == (5, 6, 0)
    check(ledger)


def test_entry_without_end_can_be_stored(make):
    ledger = make()
    put(ledger, b"k", b"v", 1.0, expires_s=float("inf"))
    assert unpack(ledger.read(b"k")).expires_s == float("inf")
    check(ledger)


def test_file_of_an_entry_has_a_number_that_no_other_had(make):
    ledger = make()
    numbers = []
    for i in range(5):
        gone = put(ledger, b"k", b"", float(i), file_size=100_000)
        assert gone == numbers[-1:]
        numbers.append(unpack(ledger.read(b"k")).file)
    assert numbers == [1, 2, 3, 4, 5]
    assert ledger.names_file(5) and ledger.names_file(6) and not ledger.names_file(4)


def test_what_is_no_store_is_refused(make, tmp_path):
    make().close()
    with lmdb.open(str(tmp_path / "2.mdb"), subdir=False) as other, other.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with pytest.raises(lmdb.CorruptedError, match="the sums are not there"):
        Ledger(tmp_path / "2.mdb", BOUND, cells_for(10), is_new=False)


def test_map_has_room_for_what_the_bound_allows(make):
    """Much coming and going of all sizes: pages are used again, and no write finds the map full."""
    ledger = make(4 * MIB, 10_000)
    sizes = [10, 3_000, 64 * 1024, 900, 20_000, 1]
    for now_s in range(3_000):
        put(ledger, b"k%d" % (now_s * 7919 % 1_500), bytes(sizes[now_s % len(sizes)]), float(now_s))
    assert ledger.file_bytes() <= room_for(4 * MIB)
    assert ledger.totals().bytes > 3 * MIB
    check(ledger)


def test_sums_begin_at_nothing(make):
    assert make().totals() == Totals()
