"""What a limit tells requests apart by: a fingerprint of the bytes that a request has for it, made where they stand."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from tidegate.memory.fingerprints cimport Fingerprints
from tidegate.wire.http1 cimport RequestHead

cdef enum KeySource:
    CLIENT_IP = 1
    AUTH_SUBJECT
    AUTH_TENANT
    AUTH_KEY
    HEADER
    COOKIE
    QUERY
    PATH
    METHOD
    ROUTE
    UPSTREAM
    ENDPOINT
    HOST
    CONSTANT

cdef struct Run:
    const char* at
    size_t size

cdef enum:
    KEPT_PRINTS = 2

cdef struct KeptPrint:
    # A fingerprint that stays the same for as long as a connection, or who asks, is: kept there, so that it is made once.
    uint64_t serial             # of the key; 0: none is kept
    uint64_t fingerprint

cdef enum StaysWith:
    NOTHING = 0
    CLIENT                      # made of the client's address
    IDENTITY                    # of who asks

cdef struct Asked:
    # What a key may be made of; all of it belongs to the exchange.
    const char* raw             # where ``head`` was parsed
    const RequestHead* head
    Run client                  # its address, as text
    Run path                    # canonical
    Run route
    Run upstream
    Run endpoint                # address of the one that may get it; empty: it is not that far
    Run subject                 # of who asks; empty: not known
    Run tenant
    Run digest                  # of the key presented
    KeptPrint* with_client      # of the connection; NULL: it brings requests of many clients
    KeptPrint* with_identity    # … of who asks; NULL: not known
    uint64_t serial             # of the exchange in this worker, for what is asked anew for each; 0: there is none
    PyObject* costs             # what filters said that it takes: a dict by name of the limit; NULL: nothing

cdef struct Part:
    uint8_t source              # KeySource
    uint8_t ipv6_prefix
    Run name

# Of a head that is whole, with its raw path; everything else is empty. For tests and tools.
cdef int ask_of(bytes head, RequestHead* parsed, Asked* asked) except -1

cdef class RequestKey:
    """The key of one limit."""
    cdef Fingerprints fingerprints          # of the limit
    cdef Part[8] parts
    cdef readonly int count
    cdef list kept                          # what the names point into
    cdef uint64_t nothing                   # of every request, where there are no parts
    cdef uint64_t serial                    # no other key in this process has it
    cdef uint8_t stays_with                 # StaysWith
    cdef uint64_t make(self, const Asked* asked, bint* is_missing) noexcept nogil
    cdef uint64_t of(self, const Asked* asked, bint* is_missing) noexcept nogil     # never 0
    # Writes what a person is shown of it, at most ``room`` bytes; of what may be a secret only the beginning and a hash,
    # unless ``shows_values``. Returns the size.
    cdef size_t show(self, const Asked* asked, bint shows_values, char* out, size_t room) noexcept nogil
    cdef uint64_t of_nothing(self) noexcept nogil                                   # of every request, where there are no parts
    cdef uint64_t of_text(self, const char* text, size_t size) noexcept nogil       # of a request whose only part is this text
