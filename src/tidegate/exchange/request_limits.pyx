"""What a filter may know and say of the limits of its request."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport isfinite
from libc.stdint cimport uint64_t

from tidegate.exchange.asked cimport fill_asked
from tidegate.exchange.state cimport FINISHED, FREE, ExchangeState
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport CONCURRENCY, Limit, Moment
from tidegate.limits.peek cimport peek_at
from tidegate.upstream.endpoint cimport Endpoint

from tidegate.limits.peek import most_room

cdef double MOST = 1e12


cdef class RequestLimits:

    cdef Limit _named(self, str name):
        cdef ExchangeState x = self.exchange
        if x.number != self.number or x.stage == FREE or x.stage == FINISHED:
            raise RuntimeError("this exchange is over, and has been charged what it took")
        found = x.plan.limits.get(name)
        if found is None:
            raise KeyError(f"no limit is named {name}; there are {', '.join(sorted(x.plan.limits)) or 'none'}")
        return <Limit>found

    def peek(self, str name not None):
        cdef Limit limit = self._named(name)
        cdef ExchangeState x = self.exchange
        cdef Asked asked
        cdef Moment now
        cdef Endpoint endpoint
        cdef list found = []
        fill_asked(x, &asked)
        now.now_ns = x.context.reactor.now_ns
        now.wall_ms = x.context.real_us() // 1000
        if limit.is_of_endpoints and x.destination is not None:
            for endpoint in x.destination.upstream.endpoints:
                if not endpoint.is_out:
                    found.append(self._peek_at(limit, endpoint, &asked, &now))
            if found:
                return most_room(found)
        return peek_at(limit, &asked, None if x.identity is None else x.identity.tier, &now)

    cdef object _peek_at(self, Limit limit, Endpoint endpoint, Asked* asked, const Moment* now):
        cdef ExchangeState x = self.exchange
        asked.endpoint.at = PyBytes_AS_STRING(endpoint.text)
        asked.endpoint.size = PyBytes_GET_SIZE(endpoint.text)
        return peek_at(limit, asked, None if x.identity is None else x.identity.tier, now)

    def cost(self, str name not None, double amount):
        cdef Limit limit = self._named(name)
        if limit.kind == CONCURRENCY:
            raise ValueError(f"{name} bounds what is under way at once, and each request is one")
        if not isfinite(amount) or amount < 0 or amount > MOST:
            raise ValueError(f"what a request takes is 0 to {MOST:g}, not {amount:g}")
        if self.exchange.costs is None:
            self.exchange.costs = {}
        self.exchange.costs[name] = amount

    def __repr__(self):
        cdef ExchangeState x = self.exchange
        is_over = x.number != self.number or x.stage == FREE or x.stage == FINISHED
        return "<RequestLimits, over>" if is_over else f"<RequestLimits {', '.join(sorted(x.plan.limits)) or 'none'}>"


cdef RequestLimits limits_of(ExchangeState x):
    cdef RequestLimits limits = RequestLimits.__new__(RequestLimits)
    limits.exchange = x
    limits.number = x.number
    return limits
