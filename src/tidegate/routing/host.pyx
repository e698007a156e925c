"""The name within an authority, see ``host.pxd``. Well-formedness is the codec's matter: bytes stay as they are."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t


cdef int host_name(const char* host, size_t size, char* out) noexcept nogil:
    cdef size_t end = size, i
    cdef uint8_t c
    while end > 0 and 48 <= <uint8_t>host[end - 1] <= 57:   # a port, if ":" goes before the digits
        end -= 1
    end = end - 1 if end > 0 and host[end - 1] == 58 else size
    if end > 0 and host[end - 1] == 46:                     # "."
        end -= 1
    if end > HOST_MAX:
        return 0
    for i in range(end):
        c = <uint8_t>host[i]
        out[i] = <char>(c | 32 if 65 <= c <= 90 else c)
    return <int>end


def name_of_host(bytes host):
    """The name in an authority: lower case, no port, no final dot; empty when there is none."""
    cdef char name[HOST_MAX]
    return name[:host_name(PyBytes_AS_STRING(host), len(host), name)]
