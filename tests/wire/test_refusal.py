"""Every refusal has one name and one status."""

import pytest

from tidegate.wire.view import REFUSALS

pytestmark = pytest.mark.sanitize


def test_every_refusal_has_a_name_of_its_own() -> None:
    assert "unknown" not in REFUSALS
    assert len(REFUSALS) == 36  # one dropped into a dict twice would be missing here


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("target_too_long", 414),
        ("bad_expect", 417),
        ("head_too_large", 431),
        ("too_many_fields", 431),
        ("connect_refused", 501),
        ("unsupported_version", 505),
    ],
)
def test_refusals_with_a_status_of_their_own(name: str, status: int) -> None:
    assert REFUSALS[name] == status


def test_all_other_refusals_are_400() -> None:
    others = {name: status for name, status in REFUSALS.items() if status != 400}
    assert len(others) == 6
