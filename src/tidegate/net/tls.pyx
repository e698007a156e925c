"""TLS over memory: the handshake and the two BIOs of one connection.

The stream hands in ciphertext with ``feed``, calls ``read`` for plaintext, and sends what collects in ``outgoing``.
``ssl.SSLWantReadError`` is the only exception on the normal path; it is raised when a record is incomplete, so the
stream asks for plaintext only while ``incoming`` holds bytes.
"""

from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ

import ssl

cdef enum:
    RECORD_HEAD = 5
    LENGTH_AT = 3


cdef class TlsSession:
    """One side of one TLS connection.

    context: the ssl.SSLContext to use. is_server: which side we are. name: for clients, the name to ask for (SNI) and to
    verify, or None.
    """

    def __init__(self, context, bint is_server, name=None):
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_side=is_server, server_hostname=name)
        # The C object behind SSLObject, where there is one: its methods without a Python frame around each.
        inner = getattr(self.session, "_sslobj", self.session)
        self.read = inner.read
        self.write = inner.write
        self.take_outgoing = self.outgoing.read
        self.is_server = is_server

    cdef int shake(self) except -2:
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLCertVerificationError as error:
            self.failure = error.verify_message
            self.is_certificate_failure = True
            return -1
        except (ssl.SSLError, ssl.CertificateError) as error:
            self.failure = _reason(error)
            return -1
        self.is_established = True
        return 1

    cdef int feed(self, const char* data, ssize_t size) except -1:
        self.incoming.write(PyMemoryView_FromMemory(<char*>data, size, PyBUF_READ))
        self.has_input = True
        if not self.is_server:
            self.follow(<const unsigned char*>data, size)
        return 0

    cdef bint is_between_records(self) noexcept:
        return self.header_size == 0

    cdef void follow(self, const unsigned char* data, size_t size) noexcept:
        # Part of a record is swallowed by OpenSSL, which does not say so; whether a server that should be silent has begun
        # to speak is seen from outside only (RFC 8446 section 5.1: type, version, and the length in two bytes).
        cdef size_t piece
        while size != 0:
            if self.header_size < RECORD_HEAD:
                if self.header_size >= LENGTH_AT:
                    self.record_left = self.record_left << 8 | data[0]
                self.header_size += 1
                data += 1
                size -= 1
            else:
                piece = min(size, self.record_left)
                self.record_left -= piece
                data += piece
                size -= piece
            if self.header_size == RECORD_HEAD and self.record_left == 0:
                self.header_size = 0

    cdef void close_notify(self):
        """Puts the closing alert into ``outgoing``; the peer's own is not waited for."""
        if not self.is_established or self.is_shut:
            return
        self.is_shut = True
        try:
            self.session.unwrap()
        except ssl.SSLError:
            pass

    @property
    def version(self):
        return self.session.version()

    @property
    def cipher(self):
        return self.session.cipher()


def _reason(error):
    return (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
