"""TLS over memory: Python's ssl module does the protocol, the stream moves the bytes."""

from libc.stdint cimport uint8_t

cdef class TlsSession:
    cdef object incoming            # ssl.MemoryBIO: ciphertext from the peer
    cdef object outgoing            # ssl.MemoryBIO: ciphertext for the peer
    cdef object session             # ssl.SSLObject
    cdef object read                # bound methods, looked up once
    cdef object write
    cdef object take_outgoing
    cdef bint has_input             # ``incoming`` holds bytes that ``read`` has not been asked about
    cdef bint is_established
    cdef bint is_server
    cdef bint is_shut               # close_notify was sent
    cdef readonly str failure       # why it failed, for logs and Proxy-Status
    cdef readonly bint is_certificate_failure
    # where the records of ``incoming`` end
    cdef uint8_t header_size        # bytes of a record's head that have come, of five
    cdef size_t record_left         # … and of its contents that have not
    cdef bint is_between_records(self) noexcept     # nothing has come of a record that is not whole
    cdef void follow(self, const unsigned char* data, size_t size) noexcept
    cdef int shake(self) except -2  # 1 done, 0 needs more bytes, -1 failed
    cdef int feed(self, const char* data, ssize_t size) except -1
    cdef void close_notify(self)
