"""A value of many bytes that is put together in place, while others have the loop between two pieces.

Room for 20 MB that is all made at once, as by ``bytearray(size)`` or by the copy to ``bytes`` at the end, holds the loop
for 10 ms each: the kernel finds 5,000 pages. Here each piece finds its own, and what was filled is the value.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy


cdef class Assembly:
    def __cinit__(self, Py_ssize_t size):
        if size < 0:
            raise ValueError(f"expected a number of bytes, got {size}")
        self.size = size
        self.value = PyBytes_FromStringAndSize(NULL, size)

    def add(self, const unsigned char[:] piece not None) -> None:
        cdef Py_ssize_t length = piece.shape[0]
        if self.value is None or length > self.size - self.filled:
            raise ValueError(f"{length} bytes more than the {self.size} there is room for, of which {self.filled} are filled")
        if length:
            memcpy(PyBytes_AS_STRING(self.value) + self.filled, &piece[0], <size_t>length)
            self.filled += length

    def take(self) -> bytes:
        cdef bytes value = self.value
        if value is None or self.filled != self.size:
            raise ValueError(f"{self.filled} of {self.size} bytes are filled")
        self.value = None                   # nothing is written into what somebody has
        return value

    def __repr__(self):
        return f"<Assembly, {self.filled} of {self.size} bytes>"
