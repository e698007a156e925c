"""The compiled router.

Rules:

1. ``spec.ranking`` decides the order; a place's index in it is its rank, and the least rank that fits is the answer.
   The tree only serves to look at few of them.
2. A look-up goes through at most a few sites (the exact host, the wildcards above it, any host) and in each down the
   tree: the literal child first, then the capture, then the rests on the way back, which is nearly the order of ranks
   where no priorities interfere. ``Node.least`` passes by what could not win any more. No node is visited twice, no
   segment is hashed twice, and no segment beyond the deepest pattern is looked at: a path of ten thousand slashes costs
   what a short one costs.
3. Whoever fails on method, header or query is passed over, and the walk goes on with the less specific.
4. A regex is asked last, since it costs a call into Python; an exception out of it is the look-up's.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from tidegate.routing.conditions cimport Conditions
from tidegate.routing.host cimport HOST_MAX, host_name
from tidegate.routing.table cimport Table, find, hash_of
from tidegate.wire.http1 cimport (
    FIELDS_MAX, METHOD_CONNECT, METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_OTHER, METHOD_PATCH,
    METHOD_POST, METHOD_PUT, METHOD_TRACE, RequestHead, Span,
)

from collections import namedtuple

from tidegate.routing.regex import compile_regex, named_groups
from tidegate.routing.spec import methods_of, ranking

cdef enum:
    ANY_METHOD = 0x7FFFFFFF
    NO_RANK = 0x7FFFFFFF
    EXACT = 0                   # scopes of ``hosts``
    WILDCARD = 1
    ROW = 256                   # cheap things that are done without giving way

cdef enum Mode:
    CHOOSE
    ANY_METHOD_WILL_DO          # is there one that only the method kept from fitting
    COLLECT                     # the methods of all that only the method kept from fitting

cdef struct Walk:
    const char* buf
    const RequestHead* head
    const char* path
    uint32_t path_size
    uint32_t n                  # segments; at most one more than the deepest pattern has
    uint32_t best               # rank
    uint32_t steps              # nodes, slots and places looked at
    Mode mode
    bint method_refused
    uint32_t methods            # of COLLECT
    PyObject* others            # of COLLECT: a set, the caller's
    Captures* captures          # filled by a regex that wins; NULL when nobody asks
    uint64_t is_hashed          # bit by segment
    uint32_t start[SEGMENTS_MAX + 1]
    uint32_t size[SEGMENTS_MAX + 1]
    uint64_t hash[SEGMENTS_MAX + 1]

METHODS = {
    "GET": METHOD_GET, "HEAD": METHOD_HEAD, "POST": METHOD_POST, "PUT": METHOD_PUT, "DELETE": METHOD_DELETE,
    "OPTIONS": METHOD_OPTIONS, "PATCH": METHOD_PATCH, "TRACE": METHOD_TRACE, "CONNECT": METHOD_CONNECT,
}

LookUp = namedtuple("LookUp", "name target captures allowed steps")
RouterStatistics = namedtuple("RouterStatistics", "places hosts nodes regexes depth longest_run")


cdef void start_walk(Walk* walk, const char* buf, const RequestHead* head, const char* path, size_t path_size,
                     uint32_t depth) noexcept nogil:
    cdef const char* slash
    cdef uint32_t at = 1, end
    walk.buf = buf
    walk.head = head
    walk.path = path
    walk.path_size = <uint32_t>path_size
    walk.n = 0
    walk.best = NO_RANK
    walk.steps = 0
    walk.mode = CHOOSE
    walk.method_refused = False
    walk.methods = 0
    walk.others = NULL
    walk.captures = NULL
    walk.is_hashed = 0
    if path_size == 0 or path[0] != 47:     # "*" of OPTIONS has no segments
        return
    while True:
        slash = <const char*>memchr(path + at, 47, walk.path_size - at) if at < walk.path_size else NULL
        end = walk.path_size if slash == NULL else <uint32_t>(slash - path)
        walk.start[walk.n] = at
        walk.size[walk.n] = end - at
        walk.n += 1
        if slash == NULL or walk.n > depth:
            return
        at = end + 1


cdef bint allows(Match match, const Walk* walk) noexcept:
    cdef const RequestHead* head = walk.head
    cdef bytes other
    if match.methods == ANY_METHOD:
        return True
    if head.method != METHOD_OTHER:
        return (match.methods >> head.method) & 1
    if match.other_methods is not None:
        for other in match.other_methods:
            if (<uint32_t>len(other) == head.method_text.size
                    and memcmp(PyBytes_AS_STRING(other), walk.buf + head.method_text.start, len(other)) == 0):
                return True
    return False


cdef void fill_from_regex(Match match, object found, Captures* captures):
    cdef int i
    cdef long start, end
    captures.n = match.n_captures
    for i in range(match.n_captures):
        start, end = found.span(match.groups[i])
        captures.spans[i].start = <uint32_t>max(start, 0)   # -1: a group that took no part
        captures.spans[i].size = <uint32_t>(end - start)


cdef void fill_from_segments(Match match, const Walk* walk, Captures* captures) noexcept:
    cdef int i
    cdef uint32_t at
    cdef Span* span
    captures.n = match.n_captures
    for i in range(match.n_captures):
        span = &captures.spans[i]
        at = match.capture_at[i]
        span.start = walk.start[at] if at < walk.n else walk.path_size
        span.size = walk.size[at] if at < walk.n else 0
        if match.has_rest and i == match.n_captures - 1:
            span.size = walk.path_size - span.start


cdef int walk_hosts(Router router, Walk* walk, const char* host, size_t host_size) except -1:
    cdef char name[HOST_MAX]
    cdef uint32_t dots[HOST_MAX]
    cdef uint32_t n_dots = 0, at, site
    cdef uint32_t size = <uint32_t>host_name(host, host_size, name)
    if size and router.hosts.entries:
        site = find(router.hosts, EXACT, hash_of(router.hosts, name, size), name, size, &walk.steps)
        if site:
            walk_site(router, walk, site)
        if router.wildcard_labels and name[0] != 91:     # "[": an IPv6 address has no labels
            at = size
            while at > 1 and n_dots < router.wildcard_labels:
                at -= 1
                if name[at] == 46:
                    dots[n_dots] = at + 1
                    n_dots += 1
            while n_dots:                               # the longest first
                n_dots -= 1
                at = dots[n_dots]
                site = find(router.hosts, WILDCARD, hash_of(router.hosts, name + at, size - at), name + at, size - at,
                            &walk.steps)
                if site:
                    walk_site(router, walk, site)
    return walk_site(router, walk, 0)


cdef int walk_site(Router router, Walk* walk, uint32_t at) except -1:
    cdef const Site* site = &router.sites[at]
    walk_node(router, walk, site.root, 0)
    return consider(router, walk, site.regexes, site.n_regexes)


cdef int walk_node(Router router, Walk* walk, uint32_t at, uint32_t depth) except -1:
    cdef const Node* node = &router.nodes[at]
    cdef uint32_t child, size
    cdef const char* segment
    walk.steps += 1
    if node.least >= walk.best:
        return 0
    if depth == walk.n:
        consider(router, walk, node.whole, node.n_whole)
    else:
        size = walk.size[depth]
        if node.literals and size <= router.edges.longest_key:
            segment = walk.path + walk.start[depth]
            if not (walk.is_hashed >> depth) & 1:
                walk.hash[depth] = hash_of(router.edges, segment, size)
                walk.is_hashed |= <uint64_t>1 << depth
            child = find(router.edges, at, walk.hash[depth], segment, size, &walk.steps)
            if child:
                walk_node(router, walk, child, depth + 1)
        if node.capture and size:
            walk_node(router, walk, node.capture, depth + 1)
    if node.n_rest:
        consider(router, walk, node.rest, node.n_rest)
    return 0


cdef int consider(Router router, Walk* walk, uint32_t first, uint32_t n) except -1:
    cdef uint32_t i, rank
    cdef Match match
    for i in range(first, first + n):
        rank = router.ranks[i]
        if rank >= walk.best:
            return 0
        walk.steps += 1
        match = <Match>router.places[rank]
        if walk.mode == CHOOSE and not allows(match, walk):
            walk.method_refused = True
            continue
        if match.conditions is not None and not match.conditions.fit(walk.buf, walk.head):
            continue
        if match.search is not None:
            found = match.search(PyBytes_FromStringAndSize(walk.path, walk.path_size))
            if found is None:
                continue
            if walk.captures != NULL:
                fill_from_regex(match, found, walk.captures)
        if walk.mode == COLLECT:
            walk.methods |= match.methods
            if match.other_methods is not None:
                (<set>walk.others).update(match.other_methods)
            continue
        walk.best = rank
        return 0
    return 0


cdef class Match:
    """One route, as the router hands it out."""

    def __init__(self, spec, shape):
        cdef int i
        if len(shape.segments) > SEGMENTS_MAX:
            raise ValueError(f"a path pattern has at most {SEGMENTS_MAX} segments")
        self.name = spec.name
        self.target = spec.target
        self.priority = spec.priority
        self.capture_names = shape.captures
        methods = methods_of(spec)
        self.methods = ANY_METHOD if methods is None else 0
        for method in methods or ():
            if method in METHODS:
                self.methods |= <uint32_t>1 << <int>METHODS[method]
            else:
                self.other_methods = [*(self.other_methods or ()), method.encode()]
        if spec.headers or spec.query:
            self.conditions = Conditions(spec.headers, spec.query)
        if shape.regex:
            regex = compile_regex(shape.regex)
            self.search = regex.search
            self.capture_names, self.groups = named_groups(regex)
        self.n_captures = len(self.capture_names)
        if self.n_captures > CAPTURES_MAX:
            raise ValueError(f"a path pattern has at most {CAPTURES_MAX} captures, this one has {self.n_captures}")
        self.has_rest = shape.is_open
        at = [i for i, segment in enumerate(shape.segments) if segment is None] + [len(shape.segments)]
        if not shape.regex:
            for i in range(self.n_captures):
                self.capture_at[i] = at[i]

    def __repr__(self):
        return f"<Match {self.name}>"


cdef class Draft:
    """The tree while it grows: a column for each attribute of its nodes and sites."""
    cdef dict matches, edges, hosts
    cdef list least, capture, literals, whole, rest     # by node
    cdef list roots, regexes                            # by site
    cdef uint32_t wildcard_labels, depth

    def __init__(self):
        self.matches, self.edges, self.hosts = {}, {}, {}
        self.least, self.capture, self.literals, self.whole, self.rest = [], [], [], [], []
        self.roots, self.regexes = [self.new_node(NO_RANK)], [[]]

    cdef uint32_t new_node(self, uint32_t rank) except? 0:
        self.least.append(rank)
        self.capture.append(0)
        self.literals.append(0)
        self.whole.append([])
        self.rest.append([])
        return <uint32_t>len(self.least) - 1

    cdef uint32_t site_of(self, str host, uint32_t rank) except? 0:
        cdef tuple key
        if not host:
            return 0
        key = (WILDCARD, host[2:].encode()) if host.startswith("*.") else (EXACT, host.encode())
        if key not in self.hosts:
            self.hosts[key] = len(self.roots)
            self.roots.append(self.new_node(rank))
            self.regexes.append([])
        return self.hosts[key]

    cdef int put(self, uint32_t rank, place, spec) except -1:
        """Adds a place; they come best first."""
        cdef uint32_t site, node, child
        cdef tuple key
        shape = place.shape
        if place.route not in self.matches:
            try:
                self.matches[place.route] = Match(spec, shape)
            except ValueError as error:
                raise ValueError(f'route "{spec.name}": {error}') from error
        site = self.site_of(place.host, rank)
        if place.host.startswith("*."):
            self.wildcard_labels = max(self.wildcard_labels, <uint32_t>place.host.count("."))
        if shape.regex:
            self.regexes[site].append(rank)
            return 0
        node = self.roots[site]
        self.least[node] = min(self.least[node], rank)
        for segment in shape.segments:
            if segment is None:
                child = self.capture[node]
                if child == 0:
                    child = self.capture[node] = self.new_node(rank)
            else:
                key = (node, segment)
                known = self.edges.get(key)
                if known is None:
                    child = self.edges[key] = self.new_node(rank)
                    self.literals[node] += 1
                else:
                    child = known
            node = child
        (self.rest if shape.is_open else self.whole)[node].append(rank)
        self.depth = max(self.depth, <uint32_t>len(shape.segments))
        return 0


cdef class Router:
    """Finds the route of a request; the order is described in ``tidegate.routing.spec``.

    Args:
        routes: in the order of the configuration.
        seed: 16 bytes that key the hash tables, random by default.

    Raises ValueError, naming the route, for a host, path or regex that is none.
    """

    def __init__(self, routes, seed=None):
        for _ in self.building(routes, seed):
            pass

    def building(self, routes, seed=None):
        """Builds it, giving way after each place: for a router that was made with ``Router.__new__``."""
        cdef Draft draft = Draft()
        cdef list places
        cdef uint32_t rank
        if self.kept is not None:
            raise RuntimeError("a router is built once")
        places = yield from ranking(routes)
        for rank, place in enumerate(places):
            draft.put(rank, place, routes[place.route])
            yield
        hosts = Table.__new__(Table)
        yield from hosts.building(draft.hosts, seed)
        edges = Table.__new__(Table)
        yield from edges.building(draft.edges, seed)
        self.hosts = hosts
        self.edges = edges
        yield from self.laying_out(draft, places)

    def laying_out(self, Draft draft not None, list places not None):
        """Puts what ``draft`` has into arrays."""
        cdef uint32_t i, rank, at = 0
        cdef list whole, rest
        self.wildcard_labels = draft.wildcard_labels
        self.depth = draft.depth
        self.n_nodes, self.n_sites, self.n_places = len(draft.least), len(draft.roots), len(places)
        self.nodes = <Node*>PyMem_RawCalloc(self.n_nodes, sizeof(Node))
        self.sites = <Site*>PyMem_RawCalloc(self.n_sites, sizeof(Site))
        self.ranks = <uint32_t*>PyMem_RawCalloc(self.n_places + 1, sizeof(uint32_t))
        self.places = <PyObject**>PyMem_RawCalloc(self.n_places + 1, sizeof(PyObject*))
        if self.nodes == NULL or self.sites == NULL or self.ranks == NULL or self.places == NULL:
            raise MemoryError
        self.kept = list(draft.matches.values())
        for i in range(self.n_places):
            self.places[i] = <PyObject*>draft.matches[places[i].route]
            if i % ROW == 0:
                yield
        for i in range(self.n_nodes):
            whole, rest = draft.whole[i], draft.rest[i]
            self.nodes[i] = Node(draft.least[i], draft.capture[i], draft.literals[i], at, len(whole),
                                 at + <uint32_t>len(whole), len(rest))
            for rank in whole:
                self.ranks[at] = rank
                at += 1
            for rank in rest:
                self.ranks[at] = rank
                at += 1
            if i % ROW == 0:
                yield
        for i in range(self.n_sites):
            whole = draft.regexes[i]
            self.sites[i] = Site(draft.roots[i], at, len(whole))
            self.n_regexes += <uint32_t>len(whole)
            for rank in whole:
                self.ranks[at] = rank
                at += 1

    def __dealloc__(self):
        PyMem_RawFree(self.nodes)
        PyMem_RawFree(self.sites)
        PyMem_RawFree(self.ranks)
        PyMem_RawFree(self.places)

    def __repr__(self):
        return f"<Router {self.n_places} places at {self.n_sites - 1} hosts, {self.n_nodes} nodes>"

    def statistics(self):
        return RouterStatistics(self.n_places, self.n_sites - 1, self.n_nodes, self.n_regexes, self.depth,
                                max(self.hosts.longest_run, self.edges.longest_run))

    cdef Match match(self, const char* buf, const RequestHead* head, const char* host, size_t host_size,
                     const char* path, size_t path_size, Captures* captures, bint* method_mismatch):
        cdef Walk walk
        cdef Match found
        start_walk(&walk, buf, head, path, path_size, self.depth)
        walk.captures = captures
        walk_hosts(self, &walk, host, host_size)
        if method_mismatch != NULL:
            method_mismatch[0] = False
        if walk.best == NO_RANK:
            if captures != NULL:
                captures.n = 0
            if walk.method_refused and method_mismatch != NULL:
                walk.mode = ANY_METHOD_WILL_DO
                walk.captures = NULL
                walk_hosts(self, &walk, host, host_size)
                method_mismatch[0] = walk.best != NO_RANK
            return None
        found = <Match>self.places[walk.best]
        if captures != NULL and found.search is None:
            fill_from_segments(found, &walk, captures)
        return found

    cdef bytes allowed_methods(self, const char* buf, const RequestHead* head, const char* host, size_t host_size,
                               const char* path, size_t path_size):
        cdef Walk walk
        others = set()
        start_walk(&walk, buf, head, path, path_size, self.depth)
        walk.mode = COLLECT
        walk.others = <PyObject*>others
        walk_hosts(self, &walk, host, host_size)
        known = [method.encode() for method, number in METHODS.items() if (walk.methods >> <int>number) & 1]
        return b", ".join(known + sorted(others))

    def repeat_look_ups(self, asks, size_t n):
        """``n`` times GET of these (host, path) in turn, for measuring; how many went to a route."""
        cdef RequestHead head
        cdef Captures captures
        cdef bint method_mismatch
        cdef size_t i, at = 0, found = 0
        cdef size_t count = <size_t>len(asks)
        cdef Span* spans = <Span*>PyMem_RawCalloc(2 * count or 1, sizeof(Span))
        if spans == NULL:
            raise MemoryError
        try:
            text = b"".join([host + path for host, path in asks])
            for i in range(count):
                host, path = asks[i]
                spans[2 * i] = Span(at, len(host))
                spans[2 * i + 1] = Span(at + len(host), len(path))
                at += len(host) + len(path)
            memset(&head, 0, sizeof(head))
            head.method = METHOD_GET
            at = 0
            for i in range(n if count else 0):
                if self.match(PyBytes_AS_STRING(text), &head, PyBytes_AS_STRING(text) + spans[at].start, spans[at].size,
                              PyBytes_AS_STRING(text) + spans[at + 1].start, spans[at + 1].size, &captures,
                              &method_mismatch) is not None:
                    found += 1
                at = at + 2 if at + 2 < 2 * count else 0
        finally:
            PyMem_RawFree(spans)
        return found

    def look_up(self, bytes method, bytes host, bytes path, bytes query=b"", headers=()):
        """Where this request would go, and in how many steps; for diagnosis, the gateway itself asks from C.

        Returns a LookUp: ``name`` and ``target`` are None when it goes nowhere, and then ``allowed`` has the methods
        with which it would; ``captures`` are bytes of the path.
        """
        cdef RequestHead head
        cdef Captures captures
        cdef Walk walk
        cdef bint method_mismatch = False
        cdef Match found
        cdef int i
        cdef char* buf
        memset(&head, 0, sizeof(head))
        if len(headers) > FIELDS_MAX:
            raise ValueError(f"a head has at most {FIELDS_MAX} fields, got {len(headers)}")
        parts = [method, query]
        for name, value in headers:
            parts += (name, value)
        text = b"".join(parts)
        buf = PyBytes_AS_STRING(text)
        head.method = METHODS.get(method.decode("latin-1"), METHOD_OTHER)
        head.method_text = Span(0, len(method))
        head.query = Span(len(method), len(query))
        head.n_fields = len(headers)
        at = len(method) + len(query)
        for i in range(head.n_fields):
            name, value = headers[i]
            head.fields[i].name = Span(at, len(name))
            head.fields[i].value = Span(at + len(name), len(value))
            at += len(name) + len(value)
        found = self.match(buf, &head, PyBytes_AS_STRING(host), len(host), PyBytes_AS_STRING(path), len(path),
                           &captures, &method_mismatch)
        start_walk(&walk, buf, &head, PyBytes_AS_STRING(path), len(path), self.depth)
        walk_hosts(self, &walk, PyBytes_AS_STRING(host), len(host))
        if found is None:
            allowed = self.allowed_methods(buf, &head, PyBytes_AS_STRING(host), len(host), PyBytes_AS_STRING(path),
                                           len(path)) if method_mismatch else b""
            return LookUp(None, None, {}, tuple(allowed.decode().split(", ")) if allowed else (), walk.steps)
        spans = [path[captures.spans[i].start : captures.spans[i].start + captures.spans[i].size]
                 for i in range(captures.n)]
        return LookUp(found.name, found.target, dict(zip(found.capture_names, spans, strict=True)), (), walk.steps)
