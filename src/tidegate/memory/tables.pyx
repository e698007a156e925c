"""Where the cells of a limit are: its part of a section of the region, and how large that has to be.

Which limit has which part is decided once for all processes, by who makes the snapshot. A part may have been another
limit's, cut up in another way, and be so still for workers that finish on the snapshot before: cells of the one are
nobody's cells in the other, and go as others do. Only a header's counters may then begin anywhere. A view of a table is
made by the process that uses it, never before a fork: it has nonces of its own.
"""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.cells cimport (
    CELLS_A_SET, TABLE_SETS_MIN, cell, cell_table, cells_are_supported, table_at, table_size)
from tidegate.memory.mapping cimport Mapping

TABLE_ALIGNMENT = 128
"""Tables start at a multiple of this many bytes of their section, so that a set lies in two cache lines."""

BYTES_A_KEY = 20
"""Room for each key that is live at once; at most 0.1 % of live cells are then given up (``benchmarks micro rates``)."""


def sets_for(uint64_t keys) -> int:
    """Sets that a table needs for so many keys that are live at once."""
    cdef uint64_t set_bytes = CELLS_A_SET * sizeof(cell)
    return max(<uint64_t>TABLE_SETS_MIN, (keys * <uint64_t>BYTES_A_KEY + set_bytes - 1) // set_bytes)


def bytes_for(uint32_t sets) -> int:
    """Bytes of a table of so many sets, a multiple of ``TABLE_ALIGNMENT``."""
    return table_size(sets)


def check_machine() -> None:
    """``RuntimeError`` when this machine cannot compare and swap 16 bytes at once."""
    if not cells_are_supported():
        raise RuntimeError(
            "this processor has no 16-byte compare-and-swap (CMPXCHG16B), which limits need:"
            " every x86-64 since 2006 has one; on a virtual machine choose a CPU model that shows it, 'host' for instance"
        )


cdef cell_table view_table(Mapping mapping, str section, uint64_t offset, uint32_t sets) except *:
    cdef uint64_t size = mapping.part_size(section)
    check_machine()
    if sets < TABLE_SETS_MIN or offset % TABLE_ALIGNMENT or offset > size or table_size(sets) > size - offset:
        raise ValueError(f"no table of {sets} sets at {offset} is inside the {size} bytes of section {section!r}")
    return table_at(mapping.part(section, 0) + offset, sets)
