"""Which fields end at this hop because Connection says so.

Elements are compared as they stand; one that is no token names no field and is harmless, so it is not refused.
"""

from libc.stdint cimport uint16_t, uint32_t

from tidegate.wire.http1 cimport *
from tidegate.wire.lines cimport DONE, find, is_blank

cdef extern from "scan.h" nogil:
    int folds_to(const char* name, const char* lower, size_t size)


cdef inline bint is_text(const char* p, size_t size, const char* lower, size_t lower_size) noexcept nogil:
    """Is it ``lower`` in any case? Exact for what holds no control bytes but HT."""
    return size == lower_size and folds_to(p, lower, lower_size)


cdef const char* next_option(const char* p, const char* end, const char** start, const char** stop) noexcept nogil:
    """Next element of a comma list, empty ones skipped; where to go on, or NULL when there is none."""
    while p < end and (p[0] == c',' or is_blank(p[0])):
        p += 1
    if p == end:
        return NULL
    start[0] = p
    p = find(p, end, c',')
    if p == NULL:
        p = end
    stop[0] = p
    while is_blank((stop[0] - 1)[0]):
        stop[0] -= 1
    return p


cdef uint32_t read_connection(const char* p, const char* end) noexcept nogil:
    """HeadFlags that one Connection field adds."""
    cdef uint32_t flags = 0
    cdef const char* start
    cdef const char* stop
    p = next_option(p, end, &start, &stop)
    while p != NULL:
        if is_text(start, stop - start, b"keep-alive", 10):
            flags |= SAID_KEEP_ALIVE
        elif is_text(start, stop - start, b"close", 5):
            flags |= HEAD_CONNECTION_CLOSE
        elif is_text(start, stop - start, b"upgrade", 7):
            flags |= SAID_UPGRADE | SAID_NAMES
        elif is_text(start, stop - start, b"te", 2):
            flags |= SAID_NAMES
        else:
            flags |= HEAD_CONNECTION_NAMES | SAID_NAMES
        p = next_option(p, end, &start, &stop)
    return flags


cdef bint names_trailers(const char* p, const char* end) noexcept nogil:
    cdef const char* start
    cdef const char* stop
    p = next_option(p, end, &start, &stop)
    while p != NULL:
        if is_text(start, stop - start, b"trailers", 8):
            return True
        p = next_option(p, end, &start, &stop)
    return False


cdef bint is_removable(const char* name, const Field* field) noexcept nogil:
    """May Connection name it? Not what says whom a message is for, whose it is or what its body is (DESIGN 12)."""
    if field.id == FIELD_HOST or field.id == FIELD_AUTHORIZATION or field.id == FIELD_COOKIE:
        return False
    return field.name.size < 8 or not same_name(name, 8, b"content-", 8)


cdef int mark_named_fields(const char* buf, Field* fields, uint16_t n_fields) noexcept nogil:
    """Flags the fields that Connection names. The number of names is bounded, so that the search is too."""
    cdef const char* names[CONNECTION_NAMES_MAX]
    cdef uint32_t sizes[CONNECTION_NAMES_MAX]
    cdef int n_names = 0
    cdef const char* p
    cdef const char* end
    cdef const char* start
    cdef const char* stop
    cdef uint16_t i
    cdef int j
    for i in range(n_fields):
        if fields[i].id != FIELD_CONNECTION or fields[i].flags & FIELD_HAS_UNDERSCORE:
            continue
        p = buf + fields[i].value.start
        end = p + fields[i].value.size
        p = next_option(p, end, &start, &stop)
        while p != NULL:
            if n_names == CONNECTION_NAMES_MAX:
                return -TOO_MANY_FIELDS
            names[n_names] = start
            sizes[n_names] = <uint32_t>(stop - start)
            n_names += 1
            p = next_option(p, end, &start, &stop)
    for i in range(n_fields):
        p = buf + fields[i].name.start
        for j in range(n_names):
            if same_name(p, fields[i].name.size, names[j], sizes[j]):
                if is_removable(p, &fields[i]):
                    fields[i].flags |= FIELD_NAMED_BY_CONNECTION
                break
    return DONE
