"""A body of problem details of which only the request's id is not known beforehand."""

cdef class ProblemBody:
    cdef bytes before
    cdef bytes after
    cdef bytes with_id(self, const char* id, size_t size)
