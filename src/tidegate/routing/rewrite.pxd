"""The path that goes upstream and the Location that goes back, written into the caller's buffer."""

from libc.stdint cimport uint32_t

from tidegate.routing.router cimport Captures

cdef enum Unwritten:            # why nothing was written
    NO_ROOM = -1
    UNSAFE = -2                 # it would be no path, or a reference to somewhere else: answer 400

cdef enum PieceKind:
    LITERAL = 0
    CAPTURE
    GROUP                       # of the regex of a rewrite
    SCHEME
    HOST
    PATH
    QUERY

cdef struct Piece:
    const char* text            # of a LITERAL
    uint32_t size
    int number                  # of a CAPTURE or GROUP
    PieceKind kind

cdef class Template:
    """Literals and what is to be put between them."""
    cdef Piece* pieces
    cdef int n
    cdef list kept              # what the pieces point into
    cdef size_t literal_size    # of all literals together
    cdef size_t inserts         # how many others

cdef class Rewrite:
    """What the upstream gets for a path."""
    cdef bytes strip_prefix     # without its final slash; empty: none
    cdef bytes prefix           # the same
    cdef size_t strip_size
    cdef size_t prefix_size
    cdef Template path          # instead of all else, or None
    cdef object search          # of the regex, or None
    cdef Template replace

    # Writes the new path to ``out``, which is not where ``path`` is. Returns its size, or Unwritten.
    cdef int apply(self, const char* path, size_t size, const Captures* captures, char* out, size_t room) except -3
    # Room that is always enough.
    cdef size_t room_for(self, size_t path_size) noexcept nogil

cdef class Redirect:
    """Where a client is sent."""
    cdef Template to
    cdef bint is_relative

    # Writes the value of Location to ``out``. ``host`` is the authority the client asked; ``query`` is without its
    # "?". Returns the size, or Unwritten.
    cdef int apply(self, const char* scheme, size_t scheme_size, const char* host, size_t host_size,
                   const char* path, size_t path_size, const char* query, size_t query_size,
                   const Captures* captures, char* out, size_t room) noexcept nogil
    cdef size_t room_for(self, size_t host_size, size_t path_size, size_t query_size) noexcept nogil
