"""Connection and the fields it names; lists of options."""

from libc.stdint cimport uint16_t, uint32_t

from tidegate.wire.http1 cimport Field

cdef enum:
    CONNECTION_NAMES_MAX = 64   # options of one head: bounds the search for the fields they name

cdef enum Said:                 # what Connection fields said, in bits that HeadFlag leaves free
    SAID_UPGRADE = 1 << 16
    SAID_KEEP_ALIVE = 1 << 17
    SAID_NAMES = 1 << 18        # anything besides close and keep-alive
    REPEATED_UPGRADE = 1 << 19  # more than one Upgrade field
    PRIVATE_FLAGS = 0xf << 16

cdef bint names_trailers(const char* p, const char* end) noexcept nogil
# HeadFlag and Said bits that one Connection field adds.
cdef uint32_t read_connection(const char* p, const char* end) noexcept nogil
# FIELD_NAMED_BY_CONNECTION where it belongs: DONE, or a negated Refusal when more names are listed than a head may.
cdef int mark_named_fields(const char* buf, Field* fields, uint16_t n_fields) noexcept nogil
