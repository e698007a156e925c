"""Everything that makes a connection interchangeable: the key of a pool.

A reply that reaches the wrong caller begins with a pool that is keyed by less than this: by a name, say, so that two
servers behind one name, or one server with and without TLS, share connections. So the key is the whole peer, resolved:
one ``Peer`` for one socket address, and equality over every field.
"""

from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

cdef extern from "<netinet/in.h>" nogil:
    ctypedef unsigned short sa_family_t
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        sa_family_t sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    unsigned short htons(unsigned short)

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef extern from "<net/if.h>" nogil:
    unsigned int if_nametoindex(const char* name)

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        sa_family_t sun_family
        char sun_path[108]

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6
        AF_UNIX

cdef enum:
    UNIX_PATH_MAX = 107     # sun_path holds 108 bytes, the last one zero


cdef bytes pack_unix(str path):
    """``struct sockaddr_un`` for ``path``, as long as connect(2) wants it: up to and with the zero that ends the path."""
    cdef sockaddr_un packed
    cdef bytes raw = path.encode("utf-8", "surrogateescape")
    cdef size_t head = <size_t>(<char*>&packed.sun_path[0] - <char*>&packed)
    if not path.startswith("/") or b"\0" in raw:
        raise ValueError(f"a unix socket has an absolute path without zero bytes, got {path!r}")
    if len(raw) > UNIX_PATH_MAX:
        raise ValueError(f"the path of a unix socket has at most {UNIX_PATH_MAX} bytes, {path!r} has {len(raw)}")
    memset(&packed, 0, sizeof(packed))
    packed.sun_family = AF_UNIX
    memcpy(&packed.sun_path[0], <const char*>raw, len(raw))
    return (<char*>&packed)[:head + len(raw) + 1]


cdef unsigned int scope_index(str zone, str address) except? 0:
    """Index of the interface that a link-local address is reached through: ``eth0`` or ``2``."""
    cdef unsigned int index
    cdef bytes name
    if zone.isascii() and zone.isdigit() and len(zone) < 10:
        return int(zone)
    name = zone.encode()
    index = if_nametoindex(name)
    if index == 0:
        raise ValueError(f"{address!r} names the interface {zone!r}, and there is none on this machine")
    return index


cdef bytes pack_ip(str address, int port):
    """``struct sockaddr_in`` or ``sockaddr_in6`` for an IP literal; an IPv6 one may name its scope (``fe80::1%eth0``)."""
    cdef sockaddr_in v4
    cdef sockaddr_in6 v6
    cdef bytes raw
    cdef str plain, zone
    plain, _, zone = address.partition("%")
    raw = plain.encode()
    if not zone:
        memset(&v4, 0, sizeof(v4))
        if inet_pton(AF_INET, raw, &v4.sin_addr) == 1:
            v4.sin_family = AF_INET
            v4.sin_port = htons(<unsigned short>port)
            return (<char*>&v4)[:sizeof(v4)]
    memset(&v6, 0, sizeof(v6))
    if inet_pton(AF_INET6, raw, &v6.sin6_addr) == 1:
        v6.sin6_family = AF_INET6
        v6.sin6_port = htons(<unsigned short>port)
        if zone:
            v6.sin6_scope_id = scope_index(zone, address)
        return (<char*>&v6)[:sizeof(v6)]
    raise ValueError(f"expected an IP address, got {address!r}: a name has to be resolved first")


cdef int family_of(bytes sockaddr) noexcept:
    cdef sa_family_t family
    memcpy(&family, <const char*>sockaddr, sizeof(family))
    return family


cdef class Peer:
    """One socket address and all the rest that has to be equal before a connection may serve somebody else.

    ``host`` is what the configuration says, ``address`` what it resolved to (absent: ``host`` is an IP literal or
    ``unix:/path`` itself). ``scheme`` follows from ``tls`` when it is not given. ValueError for what cannot be dialled.
    """

    def __cinit__(
        self,
        str host not None,
        int port=0,
        str address=None,
        *,
        str scheme=None,
        object tls=None,
        str source_address="",
    ):
        self.scheme = scheme if scheme is not None else ("http" if tls is None else "https")
        if self.scheme not in ("http", "https") or (self.scheme == "https") != (tls is not None):
            raise ValueError(f'a peer is "http" without TLS or "https" with it, got {self.scheme!r} and {tls!r}')
        self.host = host
        self.address = host if address is None else address
        self.tls = tls
        self.source_address = source_address or ""
        self.is_unix = self.address.startswith("unix:")
        self.source_sockaddr = b""
        if self.is_unix:
            if port != 0 or self.source_address:
                raise ValueError(f"{self.address} is a unix socket: it has neither a port nor a source address")
            self.sockaddr = pack_unix(self.address[5:])
            self.label = self.address
        else:
            if not 0 < port < 65536:
                raise ValueError(f"a port is 1 to 65535, got {port}")
            self.sockaddr = pack_ip(self.address, port)
            if self.source_address:
                self.source_sockaddr = pack_ip(self.source_address, 0)
                if family_of(self.source_sockaddr) != family_of(self.sockaddr):
                    raise ValueError(f"{self.address} cannot be reached from {self.source_address}: two address families")
            self.label = f"[{self.address}]:{port}" if ":" in self.address else f"{self.address}:{port}"
        self.port = port
        self.family = family_of(self.sockaddr)
        self.key_hash = hash((self.scheme, self.host, self.port, self.sockaddr, self.tls, self.source_sockaddr))

    cdef bint equals(self, Peer other) noexcept:
        """Whether a connection to ``other`` would do as well; the same object is the usual case and costs one compare."""
        if self is other:
            return True
        if other is None or self.key_hash != other.key_hash or self.port != other.port:
            return False
        return (
            self.sockaddr == other.sockaddr
            and self.address == other.address
            and self.scheme == other.scheme
            and self.host == other.host
            and self.source_address == other.source_address
            and self.tls == other.tls
        )

    def __eq__(self, other: object):
        return self.equals(<Peer>other) if isinstance(other, Peer) else NotImplemented

    def __hash__(self):
        return self.key_hash

    def __repr__(self):
        host = f" ({self.host})" if self.host != self.address else ""
        source = f" from {self.source_address}" if self.source_address else ""
        return f"<Peer {self.scheme} {self.label}{host}{source}>"
