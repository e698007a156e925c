"""Nanoseconds to tell requests apart, to find who has a key, and to ask the limits of a step."""

import hashlib

from tidegate.config.allotment import allot, room_of
from tidegate.config.auth import Auth, AuthKey
from tidegate.config.limits import Limit as Settings
from tidegate.filters.key_auth import KeyAuth
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit
from tidegate.memory.region import Region

_MEMORY = 64 << 20
_REGION = Region.create(1, 1, 1, **room_of(_MEMORY))
_HEAD = b"GET /orders HTTP/1.1\r\nHost: api.example.com\r\nAccept: */*\r\nX-User: somebody@example.com\r\n\r\n"
_KEY = b"9d7c1f0e5b3a48624d1c0b9a8f7e6d5c"
_AUTH = KeyAuth(
    "partners",
    Auth(
        kind="key",
        keys=tuple(
            AuthKey(key="sha256:" + hashlib.sha256(key).hexdigest(), subject="s")
            for key in [_KEY, *(b"%d" % number for number in range(9999))]
        ),
    ),
)


def _group(**limits: Settings) -> Group:
    places, _ = allot({}, limits, _MEMORY)
    inflight = _REGION.inflight(0)
    return Group(
        tuple(Limit(name, one, places[name], _REGION.mapping, _REGION.secret, inflight) for name, one in limits.items())
    )


_FAST = "100000000/s"
_ONE = _group(edge=Settings(rate=_FAST, burst=1_000_000_000, key=("header:X-User",)))
_TWO = _group(
    edge=Settings(rate=_FAST, burst=1_000_000_000, key=("header:X-User",)),
    contract=Settings(rate=_FAST, burst=1_000_000_000, key=("path", "method")),
)
_PERMIT = _group(servers=Settings(concurrency=1000))
_CLOSED = _group(closed=Settings(rate="0/s"))

CASES = {
    "a key of 32 bytes among 10,000": lambda n: _AUTH.find_times(_KEY, n),
    "fingerprint of a field": lambda n: _ONE.limits[0].key.fingerprint_times(_HEAD, n),
    "look and charge, one rate": lambda n: _ONE.ask_times(_HEAD, n),
    "look and charge, two rates": lambda n: _TWO.ask_times(_HEAD, n),
    "take a permit and give it back": lambda n: _PERMIT.ask_times(_HEAD, n),
    "a refusal": lambda n: _CLOSED.ask_times(_HEAD, n),
}
