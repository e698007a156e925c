"""JSON Web Tokens, end to end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.filters.issuers import SECRET, Issuer, Publisher, publishing, say
from tests.redis.links import background, run

from tidegate import testing
from tidegate.filters.jwt_auth import JwtAuth
from tidegate.filters.tokens.auth import Refusal
from tidegate.filters.tokens.principal import Principal

ISSUER = Issuer()
OTHER = Issuer(number=1, kid="k1")
FAR = {"timeout": "60s"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_bytes(ISSUER.jwks)
    return str(path)


def test_token_lets_in_as_whom_it_says(key_file: str) -> None:
    use = testing.use(
        JwtAuth, jwks_file=key_file, issuer=["us"], audience=["api"], require=["exp", "iss", "aud"], leeway="5s",
        headers={"X-User": "sub", "X-Plan": "https://example.com/plan"}, subject="sub", tenant="org.id", tier="plan",
        priority="weight", cookie="token", header="Authorization", scheme="Bearer", max_token=4096, realm="api",
        anonymous="never", forward_token=False, **FAR,
    )  # fmt: skip
    claims = {"iss": "us", "aud": "api", "https://example.com/plan": "gold", "org": {"id": "acme"}}
    limit = {"rate": "1/h", "burst": 0, "key": "auth.tenant"}
    with testing.gateway(use, route={"limits": ["contract"]}, config={"limits": {"contract": limit}}) as gw:
        assert gw.get("/", bearer(ISSUER.token(**claims)) | {"X-User": "root"}).status == 200
        assert gw.get("/", {"Cookie": f"token={ISSUER.token(**claims, jti='2')}"}).status == 429
        assert gw.get("/", bearer(ISSUER.token(**claims | {"org": {"id": "other"}}))).status == 200
        first = gw.upstream.received[0]
        assert (first.get_all("X-User"), first.get("X-Plan")) == (["ann"], "gold")
        assert first.get("Authorization") is None
        for wrong, reason in (
            ({"iss": "eve"}, "token_issuer"), ({"aud": "web"}, "token_audience"), ({"exp": 1}, "token_expired"),
            ({"iss": None}, "token_claim_missing"), ({"sub": None}, "token_claim"), ({"sub": 7}, "token_claim"),
            ({"exp": 10**400}, "token_claim"),
        ):  # fmt: skip
            answer = gw.get("/", bearer(ISSUER.token(**claims | wrong)))
            assert (answer.status, answer.json()["type"]) == (401, f"urn:tidegate:{reason}")
        assert not gw.errors


def test_secret_is_for_its_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    with testing.gateway(testing.use(JwtAuth, secret="env:TOKEN_SECRET", algorithms=["HS384"], require=[])) as gw:
        assert gw.get("/", bearer(jwt.encode({"sub": "ann"}, SECRET, "HS384"))).status == 200
        assert gw.get("/", bearer(jwt.encode({"sub": "ann"}, SECRET, "HS256"))).status == 401
        assert gw.get("/", bearer(ISSUER.token())).status == 401
        assert gw.get("/", bearer(jwt.encode({"sub": "ann"}, None, "none"))).status == 401


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({}, "not none"),
        ({"jwks_url": "https://a/", "secret": "env:TOKEN_SECRET"}, "not jwks_url and secret"),
        ({"jwks_url": "http://example.com/keys"}, "over https"),
        ({"jwks_url": "https://a/", "algorithms": ["HS256"]}, "HS256 needs a `secret`"),
        ({"secret": "env:TOKEN_SECRET", "algorithms": ["HS256", "RS256"]}, "only"),
        ({"secret": "env:TOKEN_SECRET", "algorithms": ["HS512"]}, "shorter than the 64 bytes"),
        ({"secret": "env:SHORT_SECRET"}, "shorter than the 32 bytes"),
        ({"secret": "env:NO_SUCH_SECRET"}, "NO_SUCH_SECRET"),
        ({"jwks_url": "https://a/", "algorithms": ["none"]}, "algorithms"),
        ({"jwks_file": "/nonexistent/keys.json"}, "cannot be read"),
        ({"jwks_file": "/etc/hostname"}, "is no JSON"),
        ({"jwks_url": "https://a/", "header": "off"}, "no place for a token"),
    ],
)
def test_options_that_cannot_be_meant_are_findings(
    options: dict[str, Any], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    monkeypatch.setenv("SHORT_SECRET", "short")
    with pytest.raises(ValueError, match=finding):
        testing.make(JwtAuth, **options)


# -- keys from elsewhere ----------------------------------------------------------------------------------------------


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing(ISSUER.jwks) as one:
        yield one


def test_keys_are_read_once_for_everybody(publisher: Publisher) -> None:
    with testing.gateway(testing.use(JwtAuth, jwks_url=publisher.url, **FAR)) as gw:
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda _: gw.get("/", bearer(ISSUER.token())).status, range(16))
            assert list(answers) == [200] * 16
        assert publisher.asked == 1


def test_who_shares_a_cache_reads_the_keys_once_and_has_them_before_the_first_request(
    publisher: Publisher, key_file: str
) -> None:
    users = [testing.use(JwtAuth, jwks_url=publisher.url, cache="keys", forward_token=True, **FAR) for _ in "ab"]
    with testing.gateway(*users, config={"cache": {"keys": {}}}) as gw:
        assert publisher.asked == 1 and not gw.errors
        assert gw.get("/", bearer(ISSUER.token())).status == 200
        publisher.publish(OTHER.jwks)
        assert gw.get("/", bearer(OTHER.token())).status == 401, "they were read a moment ago"
    of_file = testing.use(JwtAuth, jwks_file=key_file, cache="keys")
    with pytest.raises(ValueError, match="`cache` is for the keys of a `jwks_url`"):
        testing.gateway(of_file, config={"cache": {"keys": {}}}).__enter__()


def test_new_key_of_the_publisher_is_found_and_the_old_one_forgotten(publisher: Publisher) -> None:
    use = testing.use(JwtAuth, jwks_url=publisher.url, refetch_interval="1ms", **FAR)
    old, new = ISSUER.token(), OTHER.token()
    with testing.gateway(use) as gw:
        assert gw.get("/", bearer(old)).status == 200
        publisher.publish(OTHER.jwks)
        assert gw.get("/", bearer(old)).status == 200  # nobody has asked for another key yet
        assert gw.get("/", bearer(new)).status == 200
        answer = gw.get("/", bearer(old))  # it was known, and its key is gone
        assert (answer.status, answer.json()["type"]) == (401, "urn:tidegate:token_key_unknown")


def test_unknown_keys_do_not_storm_the_publisher(publisher: Publisher) -> None:
    use = testing.use(JwtAuth, jwks_url=publisher.url, refetch_interval="1h", **FAR)
    with testing.gateway(use) as gw:
        assert gw.get("/", bearer(ISSUER.token())).status == 200
        for number in range(20):
            answer = gw.get("/", bearer(Issuer(kid=f"x{number}").token()))
            assert (answer.status, answer.json()["type"]) == (401, "urn:tidegate:token_key_unknown")
        assert publisher.asked == 1


def test_publisher_that_is_away_is_a_503_in_time_and_holds_nobody_else_up(publisher: Publisher) -> None:
    ended = threading.Event()
    publisher.answer = lambda handler: (ended.wait(60), say(handler, b""))[0]
    use = testing.use(JwtAuth, jwks_url=publisher.url, timeout="200ms", refetch_interval="1h")
    other = {"name": "other", "path": "/open", "upstream": "upstream"}
    with testing.gateway(use, config={"routes": [other]}) as gw, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(gw.get, "/", bearer(ISSUER.token())) for _ in range(4)]
        for _ in range(10):
            assert gw.get("/open").status == 200
        for one in waiting:
            answer = one.result()
            assert (answer.status, answer.json()["type"]) == (503, "urn:tidegate:keys_unavailable")
            assert answer.get("Retry-After") == "1"
        assert publisher.asked == 1
        ended.set()


def test_keys_stay_good_while_their_publisher_is_away(publisher: Publisher) -> None:
    use = testing.use(
        JwtAuth, jwks_url=publisher.url, refresh="1ms", stale_if_error="1h", refetch_interval="1ms", **FAR
    )
    with testing.gateway(use) as gw:
        assert gw.get("/", bearer(ISSUER.token())).status == 200
        publisher.publish(b"", 503)
        deadline = time.monotonic() + 60
        while publisher.asked < 4:
            assert gw.get("/", bearer(ISSUER.token(jti=str(publisher.asked)))).status == 200
            assert time.monotonic() < deadline


def test_keys_that_are_too_old_are_not_believed(publisher: Publisher) -> None:
    use = testing.use(
        JwtAuth, jwks_url=publisher.url, refresh="1ms", stale_if_error="1ms", refetch_interval="1ms", **FAR
    )
    token = ISSUER.token()
    with testing.gateway(use) as gw:
        publisher.publish(b"", 503)
        deadline = time.monotonic() + 60
        while gw.get("/", bearer(token)).status != 503:  # the first reading may have been before
            assert time.monotonic() < deadline


def test_roots_are_those_that_are_named(tmp_path: Path) -> None:
    """The file is handed to the reading; what it does there is `download`'s."""
    (tmp_path / "ca.pem").write_text("no certificate")
    made = testing.make(JwtAuth, jwks_url="https://127.0.0.1:1/", ca=str(tmp_path / "ca.pem"), refetch_interval="1h")
    assert run(made._source.newer()) is None


# -- how a token is judged --------------------------------------------------------------------------------------------


async def judged(made: Any, token: str, digest: bytes = b"d") -> Principal | Refusal:
    """The verdict, at once or when its turn has come."""
    verdict = made.judge(token, digest)
    while not isinstance(verdict, Principal | Refusal):
        verdict = await verdict
    return verdict


def ready(key_file: str, **options: Any) -> Any:
    made = testing.make(JwtAuth, jwks_file=key_file, **options)
    assert run(made._source.newer()) is not None
    return made


def test_token_that_is_known_is_not_verified_again(key_file: str) -> None:
    made = ready(key_file)

    async def main() -> None:
        token = ISSUER.token()
        first = await judged(made, token)
        assert made._known.statistics().misses == 1
        for _ in range(5):
            assert await judged(made, token) is first
        assert made._known.statistics().misses == 1

    run(main())


def test_token_is_not_known_longer_than_it_lives(key_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ready(key_file, leeway="0s")

    async def main() -> None:
        token = ISSUER.token(exp=int(time.time()) + 1000)
        assert isinstance(await judged(made, token), Principal)
        later = time.time() + 1001
        monkeypatch.setattr("tidegate.filters.jwt_auth.time.time", lambda: later)
        assert made._known.get(b"d", later) is None

    run(main())


@pytest.mark.parametrize(
    ("options", "kept"), [({"known_tokens": 0}, 0), ({"known_bytes": "2KiB"}, 2), ({"known_tokens": 3}, 3)]
)
def test_known_tokens_are_bounded(key_file: str, options: dict[str, Any], kept: int) -> None:
    made = ready(key_file, **options)

    async def main() -> None:
        for number in range(5):
            assert isinstance(await judged(made, ISSUER.token(), bytes([number])), Principal)
        assert len(made._known) == kept

    run(main())


def test_flood_of_tokens_waits_in_turns_and_is_bounded(key_file: str) -> None:
    made = ready(key_file)

    async def main() -> None:
        forger = Issuer(number=1)
        token = forger.token()
        # Sooner or later the share of the turn is used up, and from there on they wait; more than may wait are refused.
        verdicts = [made.judge(token, b"%d" % number) for number in range(1500)]
        later = [one for one in verdicts if not isinstance(one, Principal | Refusal)]
        assert len(later) > 1024
        loop_turns = 0
        tasks = [background(one) for one in later]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            loop_turns += 1
        assert loop_turns > 5
        reasons = [task.result().reason for task in tasks]
        assert reasons.count("token_signature") == 1024
        assert reasons.count("tokens_waiting") == len(later) - 1024
        assert isinstance(await judged(made, ISSUER.token(), b"good"), Principal)

    run(main())


def test_worker_without_such_a_route_loads_none_of_it() -> None:
    code = (
        "import sys, tidegate.edge.server, tidegate.process.worker, tidegate.exchange.filter;"
        "print([name for name in ('jwt', 'cryptography', 'http.client') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


def test_everything_is_loaded_before_the_first_request(key_file: str) -> None:
    code = """
import asyncio, sys
from tidegate import testing
from tidegate.filters.jwt_auth import JwtAuth

made = testing.make(JwtAuth, jwks_file=sys.argv[1])
asyncio.run(made._source.newer())

async def main():
    loaded = set(sys.modules)
    for token in sys.argv[2:]:
        verdict = made.judge(token, token.encode())
        if hasattr(verdict, "__await__"):
            verdict = await verdict
        print(type(verdict).__name__)
    print(set(sys.modules) - loaded)

asyncio.run(main())
"""
    tokens = [ISSUER.token(), OTHER.token(), Issuer(number=1).token(), ISSUER.token(exp=1), "a.b.c"]
    found = subprocess.run(
        [sys.executable, "-c", code, key_file, *tokens], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.split() == ["Principal", "Refusal", "Refusal", "Refusal", "Refusal", "set()"]
