"""Where a JSON text may be cut."""

# Behind a string that begins at ``at``; -1: it does not end.
cdef Py_ssize_t past_string(const char* p, Py_ssize_t at, Py_ssize_t size) noexcept nogil
# The comma or closing bracket behind the last member that ends within ``limit`` bytes of ``begin``; -1: there is none.
cdef Py_ssize_t last_cut(const char* p, Py_ssize_t begin, Py_ssize_t size, Py_ssize_t limit) noexcept nogil
