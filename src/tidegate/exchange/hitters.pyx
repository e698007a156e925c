"""Counts a finished exchange for whoever asked (``memory.hitters``).

For each limit that it was asked by, under the limit's key, whose fingerprint is at hand; and for its route, under the subject
that its key stands for, else under the client's address. Limits of endpoints count it for the endpoint that was asked last: the
one that got it, or that refuses. A name is written only when a key is taken into a table.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from tidegate.exchange.asked cimport fill_asked
from tidegate.exchange.state cimport ExchangeState, client_address
from tidegate.limits.group cimport Group
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Limit, Member
from tidegate.memory.hitters cimport BYTES, HITTER_NAME, REFUSALS, REQUESTS, UPSTREAM_NS, Hitters, epochs_at


cdef uint64_t upstream_ns(ExchangeState x, uint64_t now_ns) noexcept:
    if x.sent_ns == 0:
        return 0
    return (x.answered_ns if x.upstream_status == 101 else now_ns) - x.sent_ns


cdef void count_hitters(ExchangeState x, uint64_t took_ns):
    cdef Hitters hitters = x.context.hitters
    cdef uint32_t[2] epochs
    cdef uint64_t fingerprint
    cdef uint64_t[4] amounts
    cdef bytes name
    cdef char* place
    cdef size_t size
    epochs_at(x.context.reactor.now_ns, epochs)
    amounts[REQUESTS] = 1
    amounts[UPSTREAM_NS] = took_ns
    amounts[BYTES] = x.request_bytes + x.response_bytes
    if x.edge is not None:
        _count_group(x, x.edge, x.edge_members, epochs, amounts)
    if x.contract is not None:
        _count_group(x, x.contract, x.contract_members, epochs, amounts)
    if x.asked_endpoint is not None:
        _count_group(x, x.at_endpoint, x.endpoint_members, epochs, amounts)
    if x.route is None:
        return
    amounts[REFUSALS] = x.refused_by is not None
    name = client_address(x) if x.identity is None else x.identity.subject_text
    size = PyBytes_GET_SIZE(name)
    fingerprint = _asker(x, name)
    place = hitters.count(x.route.series, fingerprint, epochs, amounts)
    if place != NULL:
        if size > HITTER_NAME:
            size = HITTER_NAME
        memcpy(place, PyBytes_AS_STRING(name), size)
        hitters.named(x.route.series, fingerprint, place, size)


cdef uint64_t _asker(ExchangeState x, bytes name) noexcept:
    """The fingerprint of who asks, made once for a key, and once for a connection that is one client's."""
    cdef uint64_t* kept = NULL
    cdef uint64_t found
    if x.identity is not None:
        kept = &x.identity.asker
    elif not x.client.is_trusted:
        kept = &x.client.asker
    if kept != NULL and kept[0] != 0:
        return kept[0]
    found = x.context.askers.of(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    if kept != NULL:
        kept[0] = found
    return found


cdef void _count_group(ExchangeState x, Group group, const Member* members, const uint32_t* epochs, uint64_t* amounts):
    cdef Hitters hitters = x.context.hitters
    cdef Asked asked
    cdef Limit limit
    cdef char* place
    cdef size_t size
    cdef int i
    for i in range(group.count):
        if members[i].fingerprint == 0:
            continue        # passed by, or another one refused before it was looked at
        limit = <Limit>group.limits[i]
        if not limit.has_series:
            continue
        amounts[REFUSALS] = x.refused_by is limit.name_text
        place = hitters.count(limit.series, members[i].fingerprint, epochs, amounts)
        if place != NULL:
            fill_asked(x, &asked)
            if group is x.at_endpoint:
                asked.endpoint.at = PyBytes_AS_STRING(x.asked_endpoint.text)
                asked.endpoint.size = PyBytes_GET_SIZE(x.asked_endpoint.text)
            size = limit.key.show(&asked, limit.shows_values, place, HITTER_NAME)
            hitters.named(limit.series, members[i].fingerprint, place, size)
