"""Rules about who may ask; the messages themselves are cases of tests/config/test_check.py."""

import pytest
from tests.config.gateways import PLAIN, accepted, told

DIGEST = "sha256:" + "ab" * 32


def test_one_key_may_stand_in_two_tables() -> None:
    table = '[auth.{}]\nkind = "key"\nkeys = [{{ key = "' + DIGEST + '", subject = "acme" }}]\n'
    gateway = accepted(PLAIN + table.format("a") + table.format("b"))
    assert [one.keys[0].key for one in gateway.auth.values()] == [DIGEST, DIGEST]


def test_key_that_is_there_twice_is_found_in_any_spelling() -> None:
    keys = f'{{ key = "{DIGEST}", subject = "a" }}, {{ key = "sha256:{"AB" * 32}", subject = "b" }}'
    assert told(PLAIN + f'[auth.a]\nkind = "key"\nkeys = [{keys}]\n') == [
        "auth.a.keys[1].key: is there already, in line 10"
    ]


@pytest.mark.parametrize("header", ["Content-Length", "transfer_encoding", "HOST", "Connection", "Upgrade", "TE"])
def test_field_that_a_request_needs_cannot_have_the_key(header: str) -> None:
    """It is taken off, and a body without its length would be read as the next request."""
    keys = f'[{{ key = "{DIGEST}", subject = "acme" }}]'
    assert told(PLAIN + f'[auth.a]\nkind = "key"\nheader = "{header}"\nkeys = {keys}\n') == [
        f"auth.a.header: cannot be {header}: a request needs it for something else"
    ]


def test_name_that_is_said_as_the_realm_needs_no_escapes() -> None:
    table = f'[auth."a\\r\\nb"]\nkind = "key"\nkeys = [{{ key = "{DIGEST}", subject = "acme" }}]\n'
    (told_of,) = told(PLAIN + table)
    assert "is said in answers" in told_of
    accepted(PLAIN + table + 'realm = "the \\"river\\" \\\\ delta"\n')


@pytest.mark.parametrize("realm", ["r\u00edo", "a\\r\\nb", "\\u0007", ""])
def test_realm_is_printable_ascii(realm: str) -> None:
    table = f'[auth.a]\nkind = "key"\nkeys = [{{ key = "{DIGEST}", subject = "acme" }}]\nrealm = "{realm}"\n'
    (told_of,) = told(PLAIN + table)
    assert told_of.startswith("auth.a.realm: ")
    assert "expected printable ASCII text" in told_of
