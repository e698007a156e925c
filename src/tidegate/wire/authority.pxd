"""Host and port as they stand in Host and in an absolute-form target."""

cdef bint is_authority(const char* p, const char* end, const char** port) noexcept nogil
cdef bint same_authority(const char* a, const char* a_end, const char* b, const char* b_end,
                         unsigned int default_port) noexcept nogil
