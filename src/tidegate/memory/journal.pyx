"""A ring of the latest records, which any process adds to and any process reads, and which outlives them all.

Rules:

1. Who writes takes a ticket, by one atomic addition; its cell is the ticket modulo the number of cells. So the oldest
   record gives way, and two writers are never sent to the same cell in the same lap.
2. The cell is marked empty, filled, and then marked with the ticket. A writer that dies in between leaves one record
   less.
3. A writer may stand still in its cell for so long that another one comes round to it. Therefore a record carries a
   checksum over its ticket, size and content, and a reader copies the cell and then checks: what two wrote at once, or
   what was overwritten while it was read, is not a record.

Nobody waits for anybody. This is for what happens now and then (seconds, events, stacks), not for each exchange.
``tests/memory/test_journal_model.py`` searches the protocol exhaustively.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from tidegate.memory.atomics cimport fetch_add_seq, load_acquire, load_seq, store_release, store_seq
from tidegate.memory.mapping cimport Mapping

from zlib import crc32

cdef enum:
    HEADER_BYTES = 64

cdef struct Header:
    uint64_t latest
    uint64_t capacity
    uint64_t room


def journal_size(uint32_t cells, uint32_t room) -> int:
    """Bytes of a section for so many records of at most ``room`` bytes each (a multiple of 8)."""
    return HEADER_BYTES + cells * (sizeof(Cell) + room)


cdef uint32_t sum_of(uint64_t ticket, bytes content):
    return crc32(content, crc32(b"%d %d" % (ticket, len(content))))


cdef class Journal:
    """``section`` is laid out for it by ``Region``; made a journal by ``format_journal``."""

    def __cinit__(self, Mapping mapping, str section):
        cdef Header* header = <Header*>mapping.part(section, 0)
        cdef uint64_t size = mapping.part_size(section)
        self.capacity = <uint32_t>load_seq(&header.capacity)
        self.room = <uint32_t>load_seq(&header.room)
        if not self.capacity or not self.room or journal_size(self.capacity, self.room) > size:
            raise ValueError(f"the region's section {section!r} is no journal")
        self.region = mapping
        self.latest = &header.latest
        self.cells = <char*>header + <int>HEADER_BYTES

    cdef Cell* cell_of(self, uint64_t ticket) noexcept nogil:
        return <Cell*>(self.cells + ticket % self.capacity * (sizeof(Cell) + self.room))

    def append(self, bytes content not None) -> int:
        """Adds a record, in place of the oldest; returns its ticket. ``ValueError`` when it is longer than ``room``."""
        cdef uint64_t ticket
        cdef Cell* cell
        if len(content) > self.room:
            raise ValueError(f"a record has at most {self.room} bytes, not {len(content)}")
        ticket = fetch_add_seq(self.latest, 1) + 1
        cell = self.cell_of(ticket)
        store_seq(&cell.ticket, 0)
        cell.size = <uint32_t>len(content)
        cell.sum = sum_of(ticket, content)
        memcpy(<char*>cell + sizeof(Cell), <const char*>content, len(content))
        store_release(&cell.ticket, ticket)
        return ticket

    def read(self, uint64_t after = 0) -> list[tuple[int, bytes]]:
        """The records that are there with a ticket later than ``after``: (ticket, content), the oldest first."""
        cdef uint64_t latest = load_seq(self.latest)
        cdef uint64_t ticket = latest - self.capacity + 1 if latest > self.capacity else 1
        cdef Cell* cell
        cdef uint32_t size, sum
        found: list = []
        ticket = max(ticket, after + 1)
        while ticket <= latest:
            cell = self.cell_of(ticket)
            if load_acquire(&cell.ticket) == ticket:
                size, sum = cell.size, cell.sum
                if size <= self.room:
                    content = (<char*>cell + sizeof(Cell))[:size]
                    if sum_of(ticket, content) == sum:
                        found.append((ticket, content))
            ticket += 1
        return found

    @property
    def latest_ticket(self) -> int:
        """The ticket that was given out last; 0: none yet."""
        return load_seq(self.latest)

    def __repr__(self):
        return f"<Journal {min(self.latest_ticket, self.capacity)} of {self.capacity} records>"


def format_journal(Mapping mapping, str section, uint32_t cells, uint32_t room):
    """Lays a new section out as a journal of ``cells`` records of at most ``room`` bytes."""
    cdef Header* header = <Header*>mapping.part(section, 0)
    if journal_size(cells, room) > mapping.part_size(section) or room % 8:
        raise ValueError(f"the region's section {section!r} has no room for {cells} records of {room} bytes")
    store_seq(&header.capacity, cells)
    store_seq(&header.room, room)
