"""Everything that makes a connection interchangeable: the key of a pool."""

cdef class Peer:
    """Immutable and hashable. Two peers are the same when every field is equal."""
    cdef readonly str scheme            # "http" or "https"
    cdef readonly str host              # address as configured: a name, an IP literal, or a path
    cdef readonly int port              # 0 for unix
    cdef readonly str address           # resolved: an IP literal or "unix:/path"; what is dialled
    cdef readonly bint is_unix
    cdef readonly object tls            # TlsSettings (frozen: name, verify, ca, cert, key, min_version, alpn) or None
    cdef readonly str source_address    # "" for any
    cdef readonly int family            # AF_INET, AF_INET6, AF_UNIX
    cdef readonly bytes sockaddr        # packed struct sockaddr_*, ready for connect(2)
    cdef readonly bytes source_sockaddr # the same for bind(2) with port 0; b"" for any
    cdef readonly str label             # "10.0.0.5:9001" for logs
    cdef Py_hash_t key_hash
    cdef bint equals(self, Peer other) noexcept
