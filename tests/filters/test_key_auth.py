"""Keys and whom they stand for: the table by itself, then requests that present keys."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import Plane, Upstream

from tidegate import Filter, Request, Response
from tidegate.config.auth import Auth, AuthKey
from tidegate.filters.key_auth import KeyAuth, digest_of

pytestmark = pytest.mark.sanitize


def digest(key: bytes) -> str:
    return "sha256:" + hashlib.sha256(key).hexdigest()


def table(*keys: bytes, scheme: str | None = None) -> KeyAuth:
    return KeyAuth(
        "partners",
        Auth(kind="key", scheme=scheme, keys=tuple(AuthKey(key=digest(key), subject=key.hex() or "-") for key in keys)),
    )


KEYS = st.binary(max_size=300).filter(lambda key: not key.startswith(b" "))  # a value of a field begins otherwise


@given(st.lists(KEYS, unique=True, min_size=1), KEYS)
def test_key_is_found_by_its_digest_and_no_other_is(keys: list[bytes], other: bytes) -> None:
    auth = table(*keys)
    assert len(auth) == len(keys)
    for key in keys:
        found = auth.identity_of(key)
        assert found is not None
        assert found.subject == (key.hex() or "-")
    if other not in keys:
        assert auth.identity_of(other) is None


@pytest.mark.parametrize("size", [*range(130), 10_240])
def test_digest_is_that_of_hashlib_with_and_without_instructions(size: int) -> None:
    key = bytes(i * 7 & 255 for i in range(size))
    assert digest_of(key) == digest_of(key, is_plain=True) == hashlib.sha256(key).digest()


def test_scheme_is_taken_off_and_its_case_does_not_matter() -> None:
    auth = table(b"k1", scheme="Bearer")
    assert auth.identity_of(b"bearer   k1") is not None
    assert auth.identity_of(b"BEARER k1") is not None
    for other in (b"Basic k1", b"Bearerk1", b"k1", b"Bearer", b""):
        assert auth.identity_of(other) is None


def test_tenant_is_the_subject_unless_said() -> None:
    keys = (
        AuthKey(key=digest(b"1"), subject="one"),
        AuthKey(key=digest(b"2"), subject="two", tenant="acme", tier="gold", priority=7),
    )
    auth = KeyAuth("partners", Auth(kind="key", keys=keys))
    one, two = auth.identity_of(b"1"), auth.identity_of(b"2")
    assert one is not None
    assert two is not None
    assert (one.subject, one.tenant, one.tier, one.priority) == ("one", "one", "", 0)
    assert (two.subject, two.tenant, two.tier, two.priority) == ("two", "acme", "gold", 7)


# -- with traffic


class Who(Filter):
    """Answers with whom the request is from, and with the fields it sees."""

    def on_request(self, request: Request) -> Response | None:
        auth = request.auth
        if request.path == "/through":
            return None
        who = [auth.subject, auth.tenant, auth.tier, auth.priority]
        return Response.json({"who": who, "fields": list(request.headers)})


@contextmanager
def guarded(
    options: str = "", route: str = 'auth = "partners"', listener: str = ""
) -> Iterator[tuple[Plane, Upstream]]:
    keys = f'{{ key = "{digest(b"gold-key")}", subject = "ci", tenant = "acme", tier = "gold", priority = 3 }}'
    config = f'[auth.partners]\nkind = "key"\nkeys = [{keys}]\n{options}\n'
    with filtered(Who, config=config, route=route, listener=listener) as both:
        yield both


def test_request_with_a_known_key_is_let_in_as_its_owner() -> None:
    with guarded() as (plane, _), plane.connect() as client:
        client.send(get(headers="x-api-key: gold-key\r\n"))
        answer = client.answer()
        assert answer.status == 200
        told = json.loads(answer.body)
        assert told["who"] == ["ci", "acme", "gold", 3]
        assert told["fields"] == ["Host"]


def test_route_without_auth_is_asked_by_nobody() -> None:
    with guarded(route="") as (plane, _), plane.connect() as client:
        client.send(get(headers="X-API-Key: gold-key\r\n"))
        assert json.loads(client.answer().body)["who"] == ["", "", "", 0]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ("", "key_missing"),
        ("X-API-Key:\r\n", "key_missing"),
        ("X-API-Key: silver-key\r\n", "key_unknown"),
        ("X_API_Key: gold-key\r\n", "key_missing"),
        ("X-API-Key: gold-key\r\nX-API-Key: gold-key\r\n", "key_repeated"),
    ],
)
def test_request_without_its_key_is_refused_and_the_connection_goes_on(fields: str, name: str) -> None:
    with guarded() as (plane, _), plane.connect() as client:
        client.send(get(headers=fields))
        answer = client.answer()
        assert answer.status == 401
        assert answer.get("WWW-Authenticate") == 'ApiKey realm="partners", header="X-API-Key"'
        assert json.loads(answer.body)["type"] == f"urn:tidegate:{name}"
        client.send(get(headers="X-API-Key: gold-key\r\n"))
        assert client.answer().status == 200
        assert plane.counters()["requests_unauthenticated"] == 1


def test_key_ends_at_the_gateway_unless_it_is_kept() -> None:
    for options, kept in (("", None), ("keep = true", "gold-key")):
        with guarded(options) as (plane, upstream), plane.connect() as client:
            client.send(get("/through", headers="X-API-Key: gold-key\r\n"))
            with upstream.accept() as server:
                _, fields, _ = server.request()
                assert {name.lower(): value for name, value in fields}.get("x-api-key") == kept
                server.send(OK)
                assert client.answer().status == 200


def test_key_in_another_spelling_goes_no_further_either() -> None:
    headers = "X_API_Key: gold-key\r\nX-API-Key: gold-key\r\nX_Other: 1\r\n"
    with guarded(listener="allow_underscores = true") as (plane, upstream), plane.connect() as client:
        client.send(get(headers=headers))
        assert json.loads(client.answer().body)["fields"] == ["Host", "X_Other"]
        client.send(get("/through", headers=headers))
        with upstream.accept() as server:
            names = [name for name, _ in server.request()[1]]
            assert "X_Other" in names
            assert not {"x-api-key", "x_api_key"} & {name.lower() for name in names}
            server.send(OK)
            assert client.answer().status == 200


def test_upstream_may_get_a_key_of_its_own_in_the_place_of_the_clients() -> None:
    route = 'auth = "partners"\nrequest_headers = { set = { "X-API-Key" = "inner" } }'
    with guarded(route=route) as (plane, upstream), plane.connect() as client:
        client.send(get("/through", headers="X-API-Key: gold-key\r\n"))
        with upstream.accept() as server:
            assert [value for name, value in server.request()[1] if name.lower() == "x-api-key"] == ["inner"]
            server.send(OK)
            assert client.answer().status == 200


def test_field_scheme_and_realm_are_what_is_configured() -> None:
    options = 'header = "Authorization"\nscheme = "Bearer"\nrealm = "the river"'
    with guarded(options) as (plane, _), plane.connect() as client:
        client.send(get(headers="Authorization: Bearer gold-key\r\n"))
        assert client.answer().status == 200
        client.send(get(headers="Authorization: Basic gold-key\r\n"))
        assert client.answer().get("WWW-Authenticate") == 'Bearer realm="the river"'


def test_realm_is_said_as_a_quoted_string() -> None:
    with guarded('realm = "the \\"old\\" river \\\\ delta"') as (plane, _), plane.connect() as client:
        client.send(get())
        challenge = client.answer().get("WWW-Authenticate")
    assert challenge == r'ApiKey realm="the \"old\" river \\ delta", header="X-API-Key"'
