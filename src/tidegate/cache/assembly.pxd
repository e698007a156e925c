"""A value of many bytes that is put together in place."""

cdef class Assembly:
    cdef readonly Py_ssize_t size           # of the whole
    cdef readonly Py_ssize_t filled
    cdef bytes value
