"""The cells of a quota as bytes that outlive the region.

A record is where a cell stands and what is in it. Which set a key belongs to follows from its whole fingerprint, of which a cell
holds three quarters: so cells go back to where they stood, into a table of as many sets, under the same secret.

Who writes records has a copy of the table to compare with, page by page as memory is there. What differs was read by two loads, and
is confirmed by a swap of what was read for the same (rule 7 of ``cells.h``).
"""

from cpython.buffer cimport PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.cells cimport cell, cell_table
from tidegate.memory.quotas cimport QuotaTable

cdef extern from "tidegate/memory/cells.h" nogil:
    ctypedef enum cell_kind:
        QUOTA
    enum:
        CELLS_A_SET
    uint64_t cell_word(const uint64_t* word) noexcept
    cell cell_swap(cell* at, cell seen, cell wanted) noexcept
    bint cell_equals(cell one, cell other) noexcept
    bint cell_is_announced(cell one) noexcept
    int64_t cell_until(cell one, cell_kind kind) noexcept
    int64_t quota_count(cell one) noexcept
    cell quota_cell(uint64_t fingerprint, int64_t until_ms, int64_t count) noexcept

RECORD_SIZE = sizeof(CellRecord)


def image_size(uint64_t sets):
    return sets * CELLS_A_SET * sizeof(cell)


def changed(QuotaTable table not None, seen, uint64_t first, uint64_t count, int64_t now_ms):
    cdef Py_buffer buffer
    cdef uint64_t cells = <uint64_t>table.table.sets * CELLS_A_SET
    cdef uint64_t i
    cdef cell* image
    cdef cell* at
    cdef cell found
    cdef CellRecord record
    cdef list records = []
    PyObject_GetBuffer(seen, &buffer, PyBUF_WRITABLE)
    try:
        if <uint64_t>buffer.len != cells * sizeof(cell) or first > cells or count > cells - first:
            raise ValueError(f"no {count} cells from {first} on of {cells}, or another table's image")
        image = <cell*>buffer.buf
        for i in range(first, first + count):
            at = table.table.cells + i
            found.key = cell_word(&at.key)
            found.used = cell_word(&at.used)
            if cell_equals(found, image[i]):
                continue
            if cell_is_announced(found) or not cell_equals(cell_swap(at, found, found), found):
                continue        # somebody is at it: the next look finds it
            image[i] = found
            if cell_until(found, QUOTA) <= now_ms:
                continue
            record.index = i
            record.key = found.key
            record.used = found.used
            records.append((<char*>&record)[:sizeof(CellRecord)])
    finally:
        PyBuffer_Release(&buffer)
    return b"".join(records)


def restore(QuotaTable table not None, bytes records not None, int64_t shift_ms, int64_t now_ms, int64_t longest_ms):
    cdef uint64_t cells = <uint64_t>table.table.sets * CELLS_A_SET
    cdef const CellRecord* record = <const CellRecord*>PyBytes_AS_STRING(records)
    cdef uint64_t count = <uint64_t>PyBytes_GET_SIZE(records) // sizeof(CellRecord)
    cdef int64_t until_ms
    cdef uint64_t i
    cdef cell known
    cdef long live = 0
    if PyBytes_GET_SIZE(records) % <Py_ssize_t>sizeof(CellRecord):
        raise ValueError(f"{len(records)} bytes are no records")
    for i in range(count):
        if record[i].index >= cells:
            raise ValueError(f"there is no cell {record[i].index} of {cells}")
        known.key = record[i].key
        known.used = record[i].used
        until_ms = cell_until(known, QUOTA) + shift_ms
        if until_ms > now_ms + longest_ms:
            until_ms = now_ms + longest_ms
        if cell_is_announced(known) or until_ms <= now_ms:
            known.key = known.used = 0
        else:
            known = quota_cell(known.key, until_ms, quota_count(known))
            live += 1
        table.table.cells[record[i].index] = known
    return live
