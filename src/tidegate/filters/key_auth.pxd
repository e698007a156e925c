"""Authentication by a key: who a request is from, by the digest of the key it presents."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tidegate.limits.keys cimport KEPT_PRINTS, KeptPrint

cdef enum:
    DIGEST_SIZE = 32            # of SHA-256

cdef class Identity:
    """Whom a request is from. Empty texts where there is nothing to say: nobody was asked, or the key has none."""
    cdef readonly str subject
    cdef readonly str tenant
    cdef readonly str tier
    cdef readonly int priority
    # what limits tell requests apart by
    cdef bytes subject_text
    cdef bytes tenant_text
    cdef bytes digest                       # of the key
    cdef KeptPrint[KEPT_PRINTS] prints
    cdef uint64_t asker                     # its fingerprint among those who ask routes; 0: not made yet

cdef Identity NOBODY

cdef class KeyAuth:
    """The keys of one ``[auth.NAME]``, and where a request has its own."""
    cdef readonly str name
    cdef bytes header                       # name of the field
    cdef uint8_t header_id                  # wire.names.FieldId
    cdef bytes scheme                       # in front of the key, "" for none
    cdef readonly bint keeps
    cdef readonly str challenge             # WWW-Authenticate
    cdef list identities
    cdef bytearray digests                  # DIGEST_SIZE bytes each, in the order of ``identities``
    cdef object places_owner
    cdef uint32_t* places                   # by the digest's first bytes: number of the identity + 1; 0: free
    cdef uint32_t mask
    # The key within a field's value, without the scheme: its size, and ``start`` set; -1 when the scheme is another.
    cdef Py_ssize_t key_in(self, const char* value, size_t size, size_t* start) noexcept
    cdef Identity find(self, const char* key, size_t size)      # None: nobody has this key
