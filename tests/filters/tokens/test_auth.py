"""The filter around a token."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tidegate import Filter, Identity, Request, testing
from tidegate.filters.tokens.auth import Refusal, TokenAuth, Verdict
from tidegate.filters.tokens.principal import Principal


class Names(TokenAuth):
    """Whoever gives a name of letters has it; ``slow`` has to be waited for, ``store`` is a store that is away."""

    def judge(self, token: str, digest: bytes) -> Verdict | Awaitable[Verdict]:
        if token == "slow":
            return self._later(digest)
        if token == "store":
            return self.outage("store_unavailable", "The store is away")
        if not token.isalpha():
            return self.refusal("token_unknown", "Nobody has this token")
        return self._reader.read({"name": token, "org": "acme", "plan": "gold", "weight": 7}, digest)

    async def _later(self, digest: bytes) -> Verdict:
        await asyncio.sleep(0)
        return self._reader.read({"name": "slow"}, digest)


PATHS: dict[str, Any] = {
    "headers": {"X-User": "name"},
    "subject": "name",
    "tenant": "org",
    "tier": "plan",
    "priority": "weight",
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_token_lets_in_and_goes_no_further() -> None:
    with testing.gateway(testing.use(Names, **PATHS)) as gw:
        assert gw.get("/", bearer("ann") | {"X-User": "root", "X_User": "root"}).status == 200
        assert gw.get("/", bearer("slow")).status == 200
        first, second = gw.upstream.received
        assert first.get_all("X-User") == ["ann"] and second.get_all("X-User") == ["slow"]
        assert first.get("X_User") is None
        assert first.get("Authorization") is None and second.get("Authorization") is None
        assert "auth" not in gw.log(1)[0]
        assert not gw.errors


def test_identity_is_for_filters_and_limits() -> None:
    seen: list[Identity] = []

    class After(Filter):
        def on_request(self, request: Request) -> None:
            seen.append(request.auth)

    limit = {"rate": "1/h", "burst": 0, "key": "auth.tenant", "tiers": {"gold": {"rate": "1/h", "burst": 1}}}
    with testing.gateway(
        testing.use(Names, **PATHS), After, route={"limits": ["contract"]}, config={"limits": {"contract": limit}}
    ) as gw:
        assert [gw.get("/", bearer(name)).status for name in ("ann", "bob", "eve")] == [200, 200, 429]
        assert gw.get("/", bearer("slow")).status == 200  # a tenant of its own
        ann = seen[0]
        assert (ann.subject, ann.tenant, ann.tier, ann.priority) == ("ann", "acme", "gold", 7)


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({}, 401, "token_missing"),
        (bearer("7"), 401, "token_unknown"),
        (bearer("a b"), 401, "token_malformed"),
        (bearer("a" * 40), 401, "token_too_long"),
        ({"Cookie": "t=ann; t=bob"}, 401, "token_repeated"),
        (bearer("store"), 503, "store_unavailable"),
    ],
)
def test_refusal_says_why(fields: dict[str, str], status: int, reason: str) -> None:
    use = testing.use(Names, **PATHS, cookie="t", max_token=32, realm="the api")
    with testing.gateway(use) as gw:
        answer = gw.get("/", fields)
        assert answer.status == status
        assert answer.get("Content-Type") == "application/problem+json"
        assert answer.json()["type"] == f"urn:tidegate:{reason}"
        assert answer.get("Cache-Control") == "no-store"
        challenge = 'Bearer realm="the api"' + (', error="invalid_token"' if reason != "token_missing" else "")
        assert answer.get("WWW-Authenticate") == (challenge if status == 401 else None)
        assert gw.log(1)[0]["auth"] == reason
        assert not gw.upstream.received and not gw.errors


@pytest.mark.parametrize(
    ("anonymous", "statuses"),
    [("never", [401, 401, 401, 503]), ("without_token", [200, 401, 401, 503]), ("always", [200, 200, 200, 503])],
)
def test_anonymous_says_who_goes_on_as_nobody(anonymous: str, statuses: list[int]) -> None:
    with testing.gateway(testing.use(Names, **PATHS, anonymous=anonymous)) as gw:
        asked = ({}, bearer("7"), bearer("a b"), bearer("store"))
        assert [gw.get("/", fields | {"X-User": "root"}).status for fields in asked] == statuses
        for got in gw.upstream.received:
            assert got.get("X-User") is None and got.get("Authorization") is None


def test_token_may_be_forwarded() -> None:
    with testing.gateway(testing.use(Names, header="X-Token", scheme="off", cookie="t", forward_token=True)) as gw:
        assert gw.get("/", {"X-Token": "ann"}).status == 200
        assert gw.get("/", {"Cookie": "a=1; t=ann"}).status == 200
        first, second = gw.upstream.received
        assert first.get("X-Token") == "ann" and second.get("Cookie") == "a=1; t=ann"


def test_cookie_is_taken_out_from_among_the_others() -> None:
    with testing.gateway(testing.use(Names, header="off", cookie="t")) as gw:
        assert gw.get("/", {"Cookie": "a=1; t=ann; b=2"}).status == 200
        assert gw.get("/", {"Cookie": "t=ann"}).status == 200
        assert [got.get("Cookie") for got in gw.upstream.received] == ["a=1; b=2", None]


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"header": "off"}, "no place for a token"),
        ({"header": "Host"}, "needs it for something else"),
        ({"headers": {"Content-Length": "a"}}, "needs it for something else"),
        ({"headers": {"content_length": "a"}}, "needs it for something else"),
        ({"headers": {"authorization": "a"}, "forward_token": True}, "cannot say something else"),
        ({"realm": 'a"b'}, "realm"),
        ({"max_token": 1}, "16"),
    ],
)
def test_options_that_cannot_be_meant_are_findings(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        testing.make(Names, **options)


def test_what_the_verdict_is_of_is_told_apart() -> None:
    names = testing.make(Names)
    refused = names.judge("7", b"")
    assert isinstance(refused, Refusal) and refused.is_of_the_token
    assert not names.judge("store", b"").is_of_the_token
    assert isinstance(names.judge("ann", b""), Principal)
