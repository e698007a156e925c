"""A limit's part of a section, as a table of cells."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.cells cimport cell_table
from tidegate.memory.mapping cimport Mapping

# The table of ``sets`` sets at ``offset``; ValueError when it is not inside the section.
cdef cell_table view_table(Mapping mapping, str section, uint64_t offset, uint32_t sets) except *
