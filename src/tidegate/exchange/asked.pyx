"""What the key of a limit may be made of, as an exchange has it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState, client_address
from tidegate.filters.key_auth cimport Identity
from tidegate.limits.keys cimport Asked

cdef uint64_t serials = 0


cdef void fill_asked(ExchangeState x, Asked* asked):
    """All of it belongs to the exchange, and is there for as long as nothing of that changes."""
    global serials
    cdef bytes address = client_address(x)
    cdef Identity identity = x.identity
    if x.serial == 0:
        serials += 1
        x.serial = serials
    asked.serial = x.serial
    asked.raw = x.raw.at
    asked.head = &x.request
    asked.client.at = PyBytes_AS_STRING(address)
    asked.client.size = PyBytes_GET_SIZE(address)
    if x.path_is_own:
        asked.path.at = x.path.at
        asked.path.size = x.path.size
    else:
        asked.path.at = x.raw.at + x.request.path.start
        asked.path.size = x.request.path.size
    asked.with_client = NULL if x.client.is_trusted else &x.client.prints[0]
    asked.with_identity = NULL if identity is None else &identity.prints[0]
    asked.costs = NULL if x.costs is None else <PyObject*>x.costs
    asked.route.size = asked.upstream.size = asked.endpoint.size = asked.subject.size = asked.tenant.size = asked.digest.size = 0
    if x.route is not None:
        asked.route.at = PyBytes_AS_STRING(x.route.name_text)
        asked.route.size = PyBytes_GET_SIZE(x.route.name_text)
    if x.destination is not None:
        asked.upstream.at = PyBytes_AS_STRING(x.destination.text)
        asked.upstream.size = PyBytes_GET_SIZE(x.destination.text)
    if identity is not None:
        asked.subject.at = PyBytes_AS_STRING(identity.subject_text)
        asked.subject.size = PyBytes_GET_SIZE(identity.subject_text)
        asked.tenant.at = PyBytes_AS_STRING(identity.tenant_text)
        asked.tenant.size = PyBytes_GET_SIZE(identity.tenant_text)
        asked.digest.at = PyBytes_AS_STRING(identity.digest)
        asked.digest.size = PyBytes_GET_SIZE(identity.digest)
