"""Names of fields; the rules that compare them have tests of their own."""

import pytest

from tidegate.config.rules.fields import GATEWAYS_OWN, same_field


@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer_encoding", "TRANSFER-Encoding"])
def test_spellings_of_one_field_are_one(name: str) -> None:
    assert same_field(name) == "transfer-encoding"
    assert same_field(name) in GATEWAYS_OWN


def test_another_field_is_another() -> None:
    assert same_field("X-Transfer-Encoding") not in GATEWAYS_OWN
