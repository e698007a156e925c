"""What a cache remembers of a session."""

import gc
import sys

import msgspec
import pytest

from tidegate import Identity
from tidegate.cache.codec import codec_named
from tidegate.cache.shelf import Entry
from tidegate.filters.key_auth import key_digest
from tidegate.filters.sessions.found import Found
from tidegate.filters.tokens.principal import Principal

ANN = Principal(Identity("ann", "acme", "gold", 7, b"d"), (("X-User", "ann"), ("X-None", None)))


def test_found_session_survives_a_journey_without_its_digest() -> None:
    codec = codec_named("json")
    data = codec.encode(Found(12.5, ANN))
    assert b"digest" not in data
    again = Found.again(codec.decode(data), b"other")
    assert (again.at_s, again.principal.fields, again.principal.until_s) == (12.5, ANN.fields, ANN.until_s)
    identity = again.principal.identity
    assert identity is not None
    assert (identity.subject, identity.tenant, identity.tier, identity.priority) == ("ann", "acme", "gold", 7)
    assert key_digest(identity) == b"other"


@pytest.mark.parametrize(
    "value",
    [
        {}, [], "x", {"at_s": "x"}, {"at_s": 1.0, "principal": {"identity": {"no": 1}, "fields": []}},
        {"at_s": 1.0, "principal": {"identity": {"subject": 7}, "fields": []}},
    ],
)  # fmt: skip
def test_what_is_no_found_session_is_refused(value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        Found.again(value, b"d")


def test_its_size_has_everything_in_it() -> None:
    assert sys.getsizeof(Found(1.0, ANN)) > ANN.size


def test_collector_has_nothing_to_look_at_in_what_is_remembered() -> None:
    """There may be a hundred thousand: a full collection would hold the loop for as many."""
    principal = Principal(Identity("ann"), tuple(zip(["X-User"], ["ann"], strict=True)))
    found = Found(1.0, principal)
    entry = Entry(b"key", found, 1, (0.0,) * 5, 0.0, (), (), ())
    assert not any(map(gc.is_tracked, (entry, found, principal, principal.identity)))
