"""What a cache remembers of a session."""

import sys

import msgspec
import pytest

from tidegate import Identity
from tidegate.filters.sessions.found import Found
from tidegate.filters.tokens.principal import Principal

ANN = Principal(Identity("ann", "acme", "gold", 7, b"d"), (("X-User", "ann"), ("X-None", None)))


def test_found_session_has_its_principal_at_hand_and_survives_a_journey() -> None:
    found = Found.of(ANN, 12.5)
    assert found.principal is ANN
    travelled = msgspec.json.decode(msgspec.json.encode(found))
    assert set(travelled) == {"at_s", "subject", "tenant", "tier", "priority", "fields"}
    again = Found.again(travelled, b"d")
    assert again.at_s == 12.5
    assert again.principal.fields == ANN.fields
    identity = again.principal.identity
    assert identity is not None
    assert (identity.subject, identity.tenant, identity.tier, identity.priority) == ("ann", "acme", "gold", 7)


@pytest.mark.parametrize("value", [{}, [], "x", {"at_s": "x"}])
def test_what_is_no_found_session_is_refused(value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        Found.again(value, b"d")


def test_its_size_has_everything_in_it() -> None:
    assert sys.getsizeof(Found.of(ANN, 1.0)) > 2 * ANN.size
