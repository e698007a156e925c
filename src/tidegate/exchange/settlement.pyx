"""What is charged when an exchange has ended.

``finish`` runs once, whatever the end, and so does this: a client that left, a time-out and an upstream that failed have taken
what they took until then. A worker that is killed takes with it what it had not settled yet: what was charged beforehand stays.
"""

from libc.stdint cimport uint64_t

from tidegate.exchange.admission cimport Admission
from tidegate.limits.group cimport Group
from tidegate.limits.limit cimport Limit, Member, Moment


cdef inline Member* _members(Admission x, Group group) noexcept:
    return &x.edge_members[0] if group is x.edge else &x.contract_members[0]


cdef void settle_failure(Admission x):
    """Whatever room they have: guesses that were under way together have all been answered, and each is to be paid for."""
    cdef Group group
    cdef Member* members
    cdef Limit limit
    cdef Moment now
    cdef int i
    for group in (x.edge, x.contract):
        if group is None:
            continue
        now = x.moment(group)
        members = _members(x, group)
        for i in range(group.count):
            limit = <Limit>group.limits[i]
            if limit.charges_failures and members[i].fingerprint != 0:
                said = None if x.costs is None else x.costs.get(limit.name)
                limit.settle(&members[i], &now, members[i].cost if said is None else limit.whole(said))


cdef void settle_costs(Admission x, uint64_t upstream_ns):
    if x.edge is not None and (x.edge.has_measured or x.costs is not None):
        _settle(x, x.edge, upstream_ns)
    if x.contract is not None and (x.contract.has_measured or x.costs is not None):
        _settle(x, x.contract, upstream_ns)


cdef void _settle(Admission x, Group group, uint64_t upstream_ns):
    cdef Moment now = x.moment(group)
    # What is answered here is no answer of an upstream, however long it is.
    group.settle_costs(_members(x, group), &now, x.costs, upstream_ns, 0 if x.is_local else x.response_bytes)
