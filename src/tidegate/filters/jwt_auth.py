"""Lets requests in by a JSON Web Token (RFC 7519), signed by somebody whose keys are known.

    [filters.users]
    class = "tidegate.filters.jwt_auth:JwtAuth"
    jwks_url = "https://login.example.com/.well-known/jwks.json"
    issuer = ["https://login.example.com/"]
    audience = ["api"]
    headers = { X-User = "sub", X-Plan = "https://example.com/plan" }
    tenant = "org.id"
    tier = "plan"

A token that was verified once is known by its digest until it expires, or its publisher changes the keys: requests
with it never leave the synchronous path. Verifying one holds the loop for 30 to 300 microseconds; ``tokens.turns``
bounds how much of each turn that takes.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le

from tidegate import Duration, File, Ref, Secret, Size, option, reveal
from tidegate.config.kinds import Off
from tidegate.filters.jwt.download import check_url, download
from tidegate.filters.jwt.keys import ALGORITHMS, HMAC_BYTES, KeySet
from tidegate.filters.jwt.shared import SharedDocument
from tidegate.filters.jwt.source import KeySource, Reading, ReadKeys, SecretKeys
from tidegate.filters.jwt.verifier import REASONS, TokenRefused, Verifier
from tidegate.filters.tokens.auth import Refusal, TokenAuth, Verdict
from tidegate.filters.tokens.known import Known
from tidegate.filters.tokens.principal import Principal
from tidegate.filters.tokens.turns import Turns

__all__ = ["JwtAuth"]

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
_WITHOUT_END_S: Final = 3600.0  # how long a token is known that says nothing of its end
_WAITING_MAX: Final = 1024


class JwtAuth(TokenAuth):
    """Lets through who has a token that is signed, not expired, and for us."""

    jwks_url: str | None = option(None, "where the issuer publishes its keys, as a JWK Set over https")
    jwks_file: Annotated[str, File()] | None = option(None, "file with such a set, read again like a URL")
    secret: Annotated[str, Secret()] | None = option(None, "secret that tokens are signed with (HS256 …)")
    algorithms: tuple[Algorithm, ...] = option(
        (), "those that are accepted; none: all that the keys are for, with a secret only HS256"
    )
    issuer: tuple[str, ...] = option((), "who may have issued a token (`iss`); none: whoever has the key")
    audience: tuple[str, ...] = option((), "for whom a token may be (`aud`), one of these; none: for anybody")
    require: tuple[str, ...] = option(("exp",), "claims that a token has to have")
    leeway: Annotated[float, Duration(shortest=0.0)] = option(10.0, "how far the issuer's clock and ours may differ")
    subject: Annotated[str | None, Off()] = option("sub", "path of who it is")
    refresh: Annotated[float, Duration()] = option(300.0, "age at which keys are read again")
    stale_if_error: Annotated[float, Duration()] = option(
        86_400.0, "age until which keys are believed while they cannot be read"
    )
    refetch_interval: Annotated[float, Duration()] = option(
        30.0, "least time between readings because of an unknown key, longest pause after a failure"
    )
    timeout: Annotated[float, Duration()] = option(
        3.0, "how long a reading of keys may take, and a request wait for it"
    )
    ca: Annotated[str, File()] | None = option(None, "roots that the publisher's certificate is trusted by")
    cache: Annotated[str | None, Ref("cache")] = option(
        None, "cache by which all who share it read the URL once: with `machine` workers, with `redis` machines"
    )
    known_tokens: Annotated[int, Ge(0), Le(1_000_000)] = option(10_000, "verified tokens that a worker remembers")
    known_bytes: Annotated[int, Size()] = option(16 << 20, "bytes that these may have")

    def check_options(self) -> None:
        """There is one source of keys, it can be read, and it fits the algorithms."""
        super().check_options()
        said = [name for name in ("jwks_url", "jwks_file", "secret") if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"needs one of `jwks_url`, `jwks_file` and `secret`, not {' and '.join(said) or 'none'}")
        if self.cache is not None and self.jwks_url is None:
            raise ValueError("`cache` is for the keys of a `jwks_url`")
        hmacs = [name for name in self.algorithms if name in HMAC_BYTES]
        if self.secret is None and hmacs:
            raise ValueError(f"{hmacs[0]} needs a `secret`: a public key verifies other algorithms")
        if self.secret is not None:
            wanted = self.algorithms or ("HS256",)
            if len(hmacs) != len(self.algorithms):
                raise ValueError("a `secret` is for HS256, HS384 and HS512 only")
            least = max(HMAC_BYTES[name] for name in wanted)
            if len(reveal(self.secret).encode()) < least:
                raise ValueError(
                    f"the secret is shorter than the {least} bytes that its algorithms need (RFC 7518, 3.2)"
                )
        if self.jwks_url is not None:
            check_url(self.jwks_url)
        if self.jwks_file is not None:
            try:
                KeySet.of_jwks(_read_file(self.jwks_file))
            except OSError as error:
                raise ValueError(f"{self.jwks_file} cannot be read: {error.strerror}") from None
            except ValueError as error:
                raise ValueError(f"{self.jwks_file} {error}") from None

    def prepare(self) -> None:
        """Begins to read the keys, in a thread; the first requests wait for them if need be."""
        super().prepare()
        self._verifier = Verifier(
            self.algorithms or self._usual_algorithms(),
            issuers=self.issuer,
            audiences=self.audience,
            required=self.require,
            leeway_s=self.leeway,
        )
        self._source = self._make_source()
        self._known = Known(self.known_tokens, self.known_bytes)
        self._known_by: KeySet | None = None
        self._turns: Turns[Principal | Refusal | None] = Turns()
        self._waiting = 0
        self._refusals |= {name: self.refusal(name, title) for name, title in REASONS.items()}
        self._no_keys = self.outage("keys_unavailable", "The keys of tokens cannot be read")
        self._busy = self.outage("tokens_waiting", "Too many tokens to verify")

    async def preload(self) -> None:
        """Has the keys before the worker is ready, where others may have read them."""
        if self.cache is not None:
            await self._source.newer()

    def judge(self, token: str, digest: bytes) -> Verdict | Awaitable[Verdict]:
        """At once for a token that is known, or that this turn of the loop has room for."""
        keys = self._source.current()
        if keys is None:
            return self._busy if self._waiting >= _WAITING_MAX else self._after_reading(token, digest)
        if keys is not self._known_by:
            self._known.clear()  # what a key vouched for that is gone is not known any more
            self._known_by = keys
        now_s = time.time()
        known = self._known.get(digest, now_s)
        if known is not None:
            return known
        if not self._turns.has_room:
            return self._busy if self._turns.is_full else self._in_turn(token, digest, keys)
        verdict = self._turns.do(partial(self._verify, token, digest, keys))
        if verdict is not None:
            return verdict
        return self._with_newer_keys(token, digest)

    def _with_newer_keys(self, token: str, digest: bytes) -> Verdict | Awaitable[Verdict]:
        if not self._source.may_have_newer:
            return self._refusals["token_key_unknown"]
        return self._busy if self._waiting >= _WAITING_MAX else self._after_reading(token, digest)

    async def _in_turn(self, token: str, digest: bytes, keys: KeySet) -> Verdict:
        if self._turns.is_full:  # others have begun to wait since it was judged
            return self._busy
        verdict = await self._turns.wait(partial(self._verify, token, digest, keys))
        if verdict is not None:
            return verdict
        later = self._with_newer_keys(token, digest)
        return later if isinstance(later, Principal | Refusal) else await later

    async def _after_reading(self, token: str, digest: bytes) -> Verdict:
        self._waiting += 1
        try:
            async with asyncio.timeout(self.timeout):
                keys = await self._source.newer()
        except TimeoutError:
            keys = self._source.current()
        finally:
            self._waiting -= 1
        if keys is None:
            return self._no_keys
        if self._turns.is_full:
            return self._busy
        verdict = await self._turns.wait(partial(self._verify, token, digest, keys))
        return self._refusals["token_key_unknown"] if verdict is None else verdict

    def _verify(self, token: str, digest: bytes, keys: KeySet) -> Principal | Refusal | None:
        """The verdict; None: the token names a key that is not among these."""
        try:
            head = self._verifier.head(token)
            key = keys.find(head.key_id, head.algorithm)
            if key is None:
                return None
            claims = self._verifier.claims(token, head, key)
        except TokenRefused as refused:
            return self._refusals[refused.reason]
        try:
            expires = claims.get("exp")
            until_s = time.time() + _WITHOUT_END_S if expires is None else float(expires) + self.leeway
            principal = self._reader.read(claims, digest, until_s)
        except (ValueError, OverflowError):  # the latter: an `exp` beyond all numbers
            return self._refusals["token_claim"]
        if self.known_tokens and math.isfinite(until_s) and keys is self._known_by:
            self._known.put(digest, principal)
        return principal

    def _usual_algorithms(self) -> tuple[str, ...]:
        if self.secret is not None:
            return ("HS256",)
        return tuple(name for name in ALGORITHMS if name not in HMAC_BYTES)

    def _make_source(self) -> KeySource:
        if self.secret is not None:
            return SecretKeys(reveal(self.secret).encode())
        if self.jwks_url is not None:
            where, read = self.jwks_url, partial(download, self.jwks_url, ca=self.ca, timeout_s=self.timeout)
        else:
            assert self.jwks_file is not None  # noqa: S101 - check_options has seen to it
            where, read = self.jwks_file, partial(_read_file, self.jwks_file)
        load = partial(_fresh, read) if self.cache is None else self._share(self.cache, where, read).next
        source = ReadKeys(
            where, load, refresh_s=self.refresh, stale_s=self.stale_if_error, retry_s=self.refetch_interval
        )
        if self.cache is None:
            source.begin()  # else in `preload`, or by the first request: the worker may not have the cache yet
        return source

    def _share(self, cache: str, url: str, read: Callable[[], bytes]) -> SharedDocument:
        name = f"keys of tokens {url} {self.ca or ''}"  # who trusts others may read others
        # Who waits for another's reading waits for as long as that one may take.
        return SharedDocument(
            lambda: self.caches[cache], name, partial(_sound, read), life_s=self.refresh, timeout_s=2 * self.timeout
        )


def _fresh(read: Callable[[], bytes]) -> Reading:
    return Reading(read())


def _sound(read: Callable[[], bytes]) -> bytes:
    """What is no key set is nothing for others either."""
    content = read()
    KeySet.of_jwks(content)
    return content


def _read_file(path: str) -> bytes:
    return Path(path).read_bytes()
