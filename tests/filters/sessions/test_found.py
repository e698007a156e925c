"""What a cache remembers of a session."""

import sys

import msgspec

from tidegate import Identity
from tidegate.filters.sessions.found import Found, principal_of
from tidegate.filters.tokens.principal import Principal

ANN = Principal(Identity("ann", "acme", "gold", 7, b"d"), (("X-User", "ann"), ("X-None", None)))


def test_found_session_has_its_principal_at_hand_and_survives_a_journey() -> None:
    found = Found.of(ANN, 12.5)
    assert found.principal is ANN
    travelled = msgspec.json.decode(msgspec.json.encode(found))
    assert travelled == found and type(travelled) is dict
    again = principal_of(travelled, b"d")
    assert again.fields == ANN.fields
    assert again.identity is not None
    assert (again.identity.subject, again.identity.tenant, again.identity.tier, again.identity.priority) == (
        "ann", "acme", "gold", 7,
    )  # fmt: skip


def test_its_size_has_the_principal_in_it() -> None:
    assert sys.getsizeof(Found.of(ANN, 1.0)) > sys.getsizeof(dict(Found.of(ANN, 1.0))) + ANN.size - 1
