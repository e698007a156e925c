"""Authentication by a key: who a request is from, by the digest of the key it presents.

Keys are known by their SHA-256 only. The presented key is hashed first and looked up by its digest, and digests are compared
in constant time: how long a look-up takes says nothing about the keys there are, because nobody can choose a key whose digest
begins as another's does. A plain hash is enough for what is long and random, as keys are; it would not be for passwords.

It runs between ``admit`` and ``limit`` of every request of its routes: nothing here makes an object.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from tidegate.wire.names cimport field_id

cdef extern from "sha256.h":
    void sha256(const char* data, size_t size, uint8_t* out) nogil
    void sha256_by(const char* data, size_t size, uint8_t* out, bint is_plain) nogil
    bint sha256_same(const uint8_t* one, const uint8_t* other) nogil


def digest_of(bytes key not None, bint is_plain=False):
    """The SHA-256 of a key; is_plain: without the processor's instructions for it."""
    cdef uint8_t[DIGEST_SIZE] digest
    sha256_by(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), digest, is_plain)
    return (<const char*>digest)[:DIGEST_SIZE]


cdef class Identity:
    """Whom a request is from. Filters get one from the gateway; tests may make their own."""

    def __init__(self, str subject not None="", str tenant not None="", str tier not None="", int priority=0, bytes digest=b""):
        self.subject = subject
        self.tenant = tenant
        self.tier = tier
        self.priority = priority
        self.subject_text = subject.encode()
        self.tenant_text = tenant.encode()
        self.digest = digest

    def as_json(self):
        """What it is in JSON: all but the digest of the key."""
        return {"subject": self.subject, "tenant": self.tenant, "tier": self.tier, "priority": self.priority}

    def __repr__(self):
        return f"<Identity {self.subject!r} of {self.tenant!r}, {self.tier!r}, priority {self.priority}>"


NOBODY = Identity()


cdef inline uint32_t _first(const uint8_t* digest) noexcept:
    cdef uint32_t word
    memcpy(&word, digest, sizeof(word))
    return word


def key_digest(Identity identity not None):
    """The SHA-256 of the key that was presented; empty where none was."""
    return identity.digest


cdef class KeyAuth:
    """name: in the configuration. settings: config.Auth."""

    def __init__(self, str name not None, settings):
        cdef uint32_t room = 8
        cdef uint32_t number, place
        cdef const uint8_t* digest
        self.name = name
        self.header = settings.header.encode("ascii")
        self.header_id = field_id(PyBytes_AS_STRING(self.header), PyBytes_GET_SIZE(self.header))
        self.scheme = f"{settings.scheme} ".encode("ascii") if settings.scheme else b""
        self.keeps = settings.keep
        said = settings.scheme or "ApiKey"
        where = "" if settings.scheme else f', header="{settings.header}"'
        realm = (settings.realm or name).replace("\\", "\\\\").replace('"', '\\"')     # a quoted string (RFC 9110, 5.6.4)
        self.challenge = f'{said} realm="{realm}"{where}'
        self.identities = []
        self.digests = bytearray()
        while room < 2 * len(settings.keys):
            room *= 2
        self.mask = room - 1
        owner = bytearray(room * sizeof(uint32_t))
        self.places_owner = owner
        self.places = <uint32_t*>PyByteArray_AS_STRING(owner)
        for one in settings.keys:
            raw = bytes.fromhex(one.key.removeprefix("sha256:"))
            self.identities.append(Identity(one.subject, one.tenant or one.subject, one.tier, one.priority, raw))
            self.digests += raw
        for number in range(<uint32_t>len(self.identities)):
            digest = <const uint8_t*>PyByteArray_AS_STRING(self.digests) + number * DIGEST_SIZE
            place = _first(digest) & self.mask
            while self.places[place] != 0:
                place = (place + 1) & self.mask
            self.places[place] = number + 1

    cdef Py_ssize_t key_in(self, const char* value, size_t size, size_t* start) noexcept:
        cdef const char* scheme = PyBytes_AS_STRING(self.scheme)
        cdef size_t scheme_size = PyBytes_GET_SIZE(self.scheme)
        cdef size_t i
        start[0] = scheme_size
        if size < scheme_size:
            return -1
        for i in range(scheme_size):    # without regard to case (RFC 9110, 11.1); the space ends it
            if (value[i] | 0x20) != (scheme[i] | 0x20):
                return -1
        while start[0] < size and value[start[0]] == c' ':
            start[0] += 1
        return size - start[0]

    cdef Identity find(self, const char* key, size_t size):
        cdef uint8_t[DIGEST_SIZE] digest
        cdef const uint8_t* digests = <const uint8_t*>PyByteArray_AS_STRING(self.digests)
        cdef uint32_t place, number
        sha256(key, size, digest)
        place = _first(digest) & self.mask
        while True:
            number = self.places[place]
            if number == 0:
                return None
            if sha256_same(digests + (number - 1) * DIGEST_SIZE, digest):
                return <Identity>self.identities[number - 1]
            place = (place + 1) & self.mask

    def identity_of(self, bytes value not None):
        """Who presents ``value`` in the field of the keys; None: nobody who is known."""
        cdef size_t start
        cdef Py_ssize_t size = self.key_in(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), &start)
        return None if size < 0 else self.find(PyBytes_AS_STRING(value) + start, size)

    def find_times(self, bytes key not None, long times):
        """Finds ``key`` so many times: for benchmarks."""
        cdef long i
        for i in range(times):
            self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    def __len__(self):
        return len(self.identities)

    def __repr__(self):
        return f"<KeyAuth {self.name}: {len(self)} keys>"
