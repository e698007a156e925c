"""Rewrites and redirects.

Rules:

1. What is put in comes from a client, so the whole result is looked at, not its parts: a path begins with one "/", has
   no empty segment, no dot segment and no byte that ends a path or a line; otherwise it is UNSAFE and not sent. Two
   harmless captures can make a ``..`` together.
2. In a Location, what is put in is percent-encoded where it could end the field or read as something else (controls,
   space, ``\\`` which browsers take for "/", ``#`` and, in a path, "?"); what is encoded already stays.
3. Where a redirect leads is the author's word: scheme and authority come from the template, with nothing of the request
   in them but ``{scheme}`` and a ``{host}`` that is a host; and ``//`` at the front of a relative reference, which
   would name another host, is one slash.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

from tidegate.routing.host cimport HOST_MAX, host_name
from tidegate.routing.router cimport CAPTURES_MAX, Captures
from tidegate.wire.http1 cimport Span

from tidegate.routing.regex import compile_regex
from tidegate.routing.template import (
    capture_names as names_of, is_relative, location_parts, path_parts, plain_path, replacement_parts,
)

cdef struct Out:
    char* at
    size_t size
    size_t room
    bint is_short               # something did not fit


cdef inline void put(Out* out, const char* text, size_t size) noexcept nogil:
    if size > out.room - out.size:
        out.is_short = True
        return
    memcpy(out.at + out.size, text, size)
    out.size += size


cdef inline void put_byte(Out* out, char byte) noexcept nogil:
    put(out, &byte, 1)


cdef bint is_plain(uint8_t c, bint in_query) noexcept nogil:
    # May stand in a URI as it is; "%" too, since what is put in is encoded already.
    if c <= 32 or c >= 127:
        return False
    if c == 63:                         # "?"
        return in_query
    # " # < > \ ^ ` { | }
    return not (c == 34 or c == 35 or c == 60 or c == 62 or c == 92 or c == 94 or c == 96 or c == 123 or c == 124
                or c == 125)


cdef void put_encoded(Out* out, const char* text, size_t size, bint in_query) noexcept nogil:
    cdef size_t i
    cdef uint8_t c
    cdef const char* digits = "0123456789ABCDEF"
    for i in range(size):
        c = <uint8_t>text[i]
        if is_plain(c, in_query):
            put_byte(out, text[i])
        else:
            put_byte(out, 37)
            put_byte(out, digits[c >> 4])
            put_byte(out, digits[c & 15])


cdef bint is_host(const char* host, size_t size) noexcept nogil:
    cdef size_t i
    cdef uint8_t c
    cdef bint is_bracketed = size > 2 and host[0] == 91 and host[size - 1] == 93
    if size == 0:
        return False
    for i in range(is_bracketed, size - is_bracketed):
        c = <uint8_t>host[i]
        if not (97 <= c <= 122 or 48 <= c <= 57 or c == 45 or c == 46 or c == 95 or (is_bracketed and c == 58)):
            return False
    return True


cdef inline bint is_dots(const char* segment, size_t size) noexcept nogil:
    # "." or "..", parameters left aside: what Tomcat and others take "..;a" for.
    if size == 0 or segment[0] != 46:
        return False
    if size == 1 or segment[1] == 59:
        return True
    return segment[1] == 46 and (size == 2 or segment[2] == 59)


cdef int settled(char* path, size_t size) noexcept nogil:
    # Makes "//" one slash, in place. Returns the size, or UNSAFE.
    cdef size_t read, n = 0, segment = 0
    cdef uint8_t c
    if size == 0 or path[0] != 47:
        return UNSAFE
    for read in range(size):
        c = <uint8_t>path[read]
        if c == 47:
            if is_dots(path + segment, n - segment):
                return UNSAFE
            if n > 0 and path[n - 1] == 47:
                continue
            segment = n + 1
        elif c <= 32 or c == 127 or c == 63 or c == 35:
            return UNSAFE
        path[n] = <char>c
        n += 1
    return UNSAFE if is_dots(path + segment, n - segment) else <int>n


cdef class Template:
    """Literals and what is to be put between them."""

    def __init__(self, parts):
        cdef Piece* piece
        cdef bytes text
        if self.kept is not None:
            raise RuntimeError("a template is built once")
        self.kept = []
        self.pieces = <Piece*>PyMem_RawCalloc(len(parts) or 1, sizeof(Piece))
        if self.pieces == NULL:
            raise MemoryError
        for part in parts:
            piece = &self.pieces[self.n]
            piece.kind = part.kind
            piece.number = part.number
            text = part.text.encode()
            self.kept.append(text)
            piece.text = PyBytes_AS_STRING(text)
            piece.size = <uint32_t>len(text)
            self.literal_size += piece.size
            self.inserts += piece.kind != LITERAL
            self.n += 1

    def __dealloc__(self):
        PyMem_RawFree(self.pieces)


cdef int put_replaced(Rewrite rewrite, Out* to, const char* path, size_t size) except -1:
    cdef const Piece* piece
    cdef int i
    cdef long start, end, group_start, group_end
    found = rewrite.search(PyBytes_FromStringAndSize(path, <Py_ssize_t>size))
    if found is None:
        put(to, path, size)
        return 0
    start, end = found.span(0)
    put(to, path, start)
    for i in range(rewrite.replace.n):
        piece = &rewrite.replace.pieces[i]
        if piece.kind == LITERAL:
            put(to, piece.text, piece.size)
        else:
            group_start, group_end = found.span(piece.number)
            if group_start >= 0:
                put(to, path + group_start, group_end - group_start)
    put(to, path + end, size - end)
    return 0


cdef class Rewrite:
    """What the upstream gets for a path: `strip_prefix`, then `regex`, then `prefix`; or `path` instead of all.

    Args:
        strip_prefix: taken off the front, if it is there as whole segments.
        prefix: put in front.
        path: the whole path, with the captures ``{name}`` and ``{*}`` of the route put in.
        regex: what is replaced, where it matches first.
        replace: what is put there; ``\\1`` to ``\\9`` are groups.
        capture_names: as the route's Match has them.

    Raises ValueError for what cannot become a path.
    """

    def __init__(self, *, strip_prefix=None, prefix=None, path=None, regex=None, replace="", capture_names=()):
        if path is not None and (strip_prefix is not None or prefix is not None or regex is not None):
            raise ValueError("`path` is the whole path; it goes with no other way of rewriting")
        self.strip_prefix = plain_path("strip_prefix", strip_prefix or "/").encode()
        self.strip_size = <size_t>len(self.strip_prefix)
        self.prefix = plain_path("prefix", prefix or "/").encode()
        self.prefix_size = <size_t>len(self.prefix)
        if path is not None:
            self.path = Template(path_parts(path, capture_names))
        if regex is not None:
            compiled = compile_regex(regex)
            self.search = compiled.search
            self.replace = Template(replacement_parts(replace, compiled.groups))

    cdef size_t room_for(self, size_t path_size) noexcept nogil:
        if self.path is not None:
            return self.path.literal_size + self.path.inserts * path_size
        return (self.prefix_size + path_size + 1
                + (0 if self.replace is None else self.replace.literal_size + self.replace.inserts * (path_size + 1)))

    cdef int apply(self, const char* path, size_t size, const Captures* captures, char* out, size_t room) except -3:
        cdef Out to
        cdef const Piece* piece
        cdef int i
        to.at, to.size, to.room, to.is_short = out, 0, room, False
        if self.path is not None:
            for i in range(self.path.n):
                piece = &self.path.pieces[i]
                if piece.kind == LITERAL:
                    put(&to, piece.text, piece.size)
                elif piece.number < captures.n:
                    put(&to, path + captures.spans[piece.number].start, captures.spans[piece.number].size)
        else:
            if (0 < self.strip_size <= size
                    and memcmp(path, PyBytes_AS_STRING(self.strip_prefix), self.strip_size) == 0
                    and (self.strip_size == size or path[self.strip_size] == 47)):
                path += self.strip_size
                size -= self.strip_size
            put(&to, PyBytes_AS_STRING(self.prefix), self.prefix_size)
            if size == 0 and (to.size == 0 or self.search is not None):
                path, size = "/", 1
            if self.search is None:
                put(&to, path, size)
            else:
                put_replaced(self, &to, path, size)
        if to.is_short:
            return NO_ROOM
        return settled(out, to.size)

    def rewritten(self, bytes path, spans=()):
        """The new path, for diagnosis and filters. ``spans`` are (start, size) of the captures within ``path``.

        Raises ValueError when what comes out is no path.
        """
        cdef Captures captures = captures_of(spans, len(path))
        cdef size_t room = self.room_for(len(path))
        cdef bytes out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>room)
        cdef int size = self.apply(PyBytes_AS_STRING(path), len(path), &captures, PyBytes_AS_STRING(out), room)
        if size == NO_ROOM:
            raise RuntimeError(f"{path!r} needs more room than {room} bytes")
        if size < 0:
            raise ValueError(f"{path!r} becomes no path")
        return out[:size]


cdef Captures captures_of(spans, size_t size) except *:
    cdef Captures captures
    if len(spans) > CAPTURES_MAX:
        raise ValueError(f"at most {CAPTURES_MAX} captures, got {len(spans)}")
    captures.n = 0
    for start, length in spans:
        if not 0 <= start <= start + length <= size:
            raise ValueError(f"captures lie within the path, got ({start}, {length})")
        captures.spans[captures.n].start = start
        captures.spans[captures.n].size = length
        captures.n += 1
    return captures


cdef class Redirect:
    """Where a client is sent.

    Args:
        to: a URL or a path with ``{scheme}``, ``{host}`` (without port), ``{path}``, ``{query}`` (with its ``?``, or
            with ``&`` after a query of one's own) and the route's captures in it.
        capture_names: as the route's Match has them.

    Raises ValueError when it could lead to where the author did not mean.
    """

    def __init__(self, to, *, capture_names=()):
        self.to = Template(location_parts(to, capture_names))
        self.is_relative = is_relative(to)

    cdef size_t room_for(self, size_t host_size, size_t path_size, size_t query_size) noexcept nogil:
        cdef size_t widest = 3 * max(path_size, query_size) + 1
        return self.to.literal_size + self.to.inserts * max(widest, max(<size_t>HOST_MAX, <size_t>8))

    cdef int apply(self, const char* scheme, size_t scheme_size, const char* host, size_t host_size,
                   const char* path, size_t path_size, const char* query, size_t query_size,
                   const Captures* captures, char* out, size_t room) noexcept nogil:
        cdef Out to
        cdef const Piece* piece
        cdef const Span* span
        cdef char name[HOST_MAX]
        cdef size_t size, extra
        cdef int i
        cdef char last
        to.at, to.size, to.room, to.is_short = out, 0, room, False
        for i in range(self.to.n):
            piece = &self.to.pieces[i]
            if piece.kind == LITERAL:
                put(&to, piece.text, piece.size)
            elif piece.kind == SCHEME:
                put(&to, scheme, scheme_size)
            elif piece.kind == HOST:
                size = <size_t>host_name(host, host_size, name)
                if not is_host(name, size):
                    return UNSAFE
                put(&to, name, size)
            elif piece.kind == PATH:
                if path_size == 0 or path[0] != 47:     # "*" of OPTIONS
                    put_byte(&to, 47)
                else:
                    put_encoded(&to, path, path_size, False)
            elif piece.kind == CAPTURE:
                if piece.number < captures.n:
                    span = &captures.spans[piece.number]
                    put_encoded(&to, path + span.start, span.size, False)
            else:
                last = out[to.size - 1] if to.size else 0
                if query_size == 0:
                    if last == 63 or last == 38:        # a "?" or "&" that waits for it
                        to.size -= 1
                else:
                    if last != 63 and last != 38:
                        put_byte(&to, 63 if memchr(out, 63, to.size) == NULL else 38)
                    put_encoded(&to, query, query_size, True)
            if to.is_short:
                return NO_ROOM
        if self.is_relative:
            extra = 0
            while extra + 1 < to.size and out[extra + 1] == 47:
                extra += 1
            for size in range(to.size - extra if extra else 0):
                out[size] = out[size + extra]
            to.size -= extra
        return <int>to.size

    def location(self, bytes scheme, bytes host, bytes path, bytes query=b"", spans=()):
        """The value of Location, for diagnosis and filters. ``spans`` are (start, size) of the captures in ``path``.

        Raises ValueError when ``host`` is none.
        """
        cdef Captures captures = captures_of(spans, len(path))
        cdef size_t room = self.room_for(len(host), len(path), len(query))
        cdef bytes out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>room)
        cdef int size = self.apply(PyBytes_AS_STRING(scheme), len(scheme), PyBytes_AS_STRING(host), len(host),
                                   PyBytes_AS_STRING(path), len(path), PyBytes_AS_STRING(query), len(query), &captures,
                                   PyBytes_AS_STRING(out), room)
        if size == NO_ROOM:
            raise RuntimeError(f"{path!r} needs more room than {room} bytes")
        if size < 0:
            raise ValueError(f"{host!r} is no host")
        return out[:size]


def rewrite_of(route):
    """The Rewrite of a configured route that has one."""
    asked = route.rewrite
    return Rewrite(strip_prefix=asked.strip_prefix, prefix=asked.prefix, path=asked.path, regex=asked.regex,
                   replace=asked.replace, capture_names=names_of(route.path))


def redirect_of(route):
    """The Redirect of a configured route that has one."""
    return Redirect(route.redirect.to, capture_names=names_of(route.path))
