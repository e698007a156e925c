"""Where a JSON text may be cut: between the members of an array or object.

Nothing is checked here but what is needed to find the place; whoever decodes the pieces finds out what is wrong in
them. A search looks at a bounded number of bytes, so that a text of any size can be taken apart in turns.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE


cdef Py_ssize_t past_string(const char* p, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    at += 1
    while at < size:
        if p[at] == c'"':
            return at + 1
        at += 2 if p[at] == c'\\' else 1
    return -1


cdef Py_ssize_t last_cut(const char* p, Py_ssize_t begin, Py_ssize_t size, Py_ssize_t limit) noexcept nogil:
    cdef Py_ssize_t at = begin, last = -1, depth = 0
    cdef char one
    while 0 <= at < size:
        if at - begin >= limit:
            return last
        one = p[at]
        if one == c'"':
            at = past_string(p, at, size)
            continue
        if one == c'[' or one == c'{':
            depth += 1
        elif one == c']' or one == c'}':
            if depth == 0:
                return at
            depth -= 1
        elif one == c',' and depth == 0:
            last = at
        at += 1
    return -1       # the text ends within a string or a container


def members_end(bytes data not None, Py_ssize_t at, Py_ssize_t limit) -> int:
    """The comma or closing bracket behind the last member that ends within so many bytes.

    data: the text. at: within an array or object, where a member begins, or a bracket closes. limit: bytes that are looked
    at, but that a string is looked at whole. -1: no member ends within them, or the text does not end as it should.
    """
    if not 0 <= at <= PyBytes_GET_SIZE(data):
        raise IndexError(f"{at} is not in a text of {PyBytes_GET_SIZE(data)} bytes")
    return last_cut(PyBytes_AS_STRING(data), at, PyBytes_GET_SIZE(data), limit)


def string_end(bytes data not None, Py_ssize_t at) -> int:
    """Behind the closing quote of the string that begins at ``at``; -1: it has none, or none begins there."""
    if not 0 <= at < PyBytes_GET_SIZE(data) or data[at] != c'"':
        return -1
    return past_string(PyBytes_AS_STRING(data), at, PyBytes_GET_SIZE(data))
