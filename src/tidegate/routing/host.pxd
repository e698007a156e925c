"""The name within an authority: what hosts are compared by."""

cdef enum:
    HOST_MAX = 255

# Writes the name in lower case, without port and final dot, to ``out`` (room for HOST_MAX). Returns its size; 0 when
# there is none or it is longer than any host can be.
cdef int host_name(const char* host, size_t size, char* out) noexcept nogil
