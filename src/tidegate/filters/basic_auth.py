r"""Basic authentication (RFC 7617): name and password, from hashed entries.

    [filters.staff]
    class = "tidegate.filters.basic_auth:BasicAuth"
    realm = "staff"
    users = { ann = "scrypt:14:8:1:…:…", bob = "env:BOB_ENTRY", eve = "file:/run/secrets/eve" }
    user_header = "X-User"

``python -m tidegate.filters.basic_auth`` asks for a password and prints its entry.

A slow hash is what makes a stolen entry worth little, and what makes checking cost 50 ms and 16 MiB. So it runs in one
thread beside the loop (scrypt lets go of the GIL), for one request at a time; who comes while too many wait gets 503.
What was found is remembered for ``remember``, under a keyed digest of what the client sent, so that a user is hashed
once and not on each request. A request whose credentials are remembered never leaves the synchronous path.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from tidegate import Duration, FieldName, Filter, Kind, Request, Response, option, required, reveal

__all__ = ["BasicAuth", "Entry", "EntryText"]

_REMEMBERED_MAX = 10_000
_WAITING_MAX = 64
_LOG2_N_MAX, _MEMORY_MAX = 20, 1 << 30


class Entry(NamedTuple):
    """A password as scrypt leaves it (RFC 7914): ``scrypt:LOG2_N:R:P:SALT:HASH``, the last two in base64."""

    log2_n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads an entry; ValueError says what is wrong with it, without showing it."""
        parts = text.split(":")
        if len(parts) != 6 or parts[0] != "scrypt":
            raise ValueError(
                'an entry is "scrypt:LOG2_N:R:P:SALT:HASH"; python -m tidegate.filters.basic_auth makes one'
            )
        try:
            log2_n, r, p = (int(part) for part in parts[1:4])
            salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
        except (ValueError, binascii.Error):
            raise ValueError("an entry has three numbers, and salt and hash in base64") from None
        if not 10 <= log2_n <= _LOG2_N_MAX or r < 1 or p < 1 or (128 * r * p << log2_n) > _MEMORY_MAX:
            raise ValueError(
                "the numbers of an entry are out of bounds: 10 to 20 for LOG2_N, and at most 1 GiB of memory"
            )
        if len(salt) < 8 or len(digest) < 16:
            raise ValueError("the salt of an entry has 8 bytes or more, its hash 16")
        return cls(log2_n, r, p, salt, digest)

    @classmethod
    def of(cls, password: str, *, log2_n: int = 14, r: int = 8, p: int = 1) -> Self:
        """A new entry for ``password``."""
        empty = cls(log2_n, r, p, os.urandom(16), bytes(32))
        return empty._replace(hash=empty.digest(password))

    def digest(self, password: str) -> bytes:
        """The hash of ``password`` with this entry's salt and cost."""
        n = 1 << self.log2_n
        return hashlib.scrypt(
            password.encode(),
            salt=self.salt,
            n=n,
            r=self.r,
            p=self.p,
            dklen=len(self.hash),
            maxmem=256 * n * self.r * self.p,
        )

    def fits(self, password: str) -> bool:
        """Whether it is the entry of ``password``; slow, on purpose."""
        return hmac.compare_digest(self.digest(password), self.hash)

    def __str__(self) -> str:
        salt, digest = base64.b64encode(self.salt).decode(), base64.b64encode(self.hash).decode()
        return f"scrypt:{self.log2_n}:{self.r}:{self.p}:{salt}:{digest}"


@dataclass(frozen=True, slots=True)
class EntryText(Kind):
    """An entry, or a reference ``env:NAME`` or ``file:PATH`` to one."""

    expects = 'an entry such as "scrypt:14:8:1:SALT:HASH", or a reference "env:NAME" or "file:PATH" to one'
    is_secret = True

    def read(self, value: Any) -> str:
        """Text of one of the three forms."""
        if not isinstance(value, str) or not value.startswith(("scrypt:", "env:", "file:")):
            raise ValueError(f"expected {self.expects}")  # and never show what came: it may be a password
        return value

    def place(self, value: str, directory: Path) -> str:
        """A relative file begins at the directory of the configuration."""
        return f"file:{directory / value[5:]}" if value.startswith("file:") else value


class BasicAuth(Filter):
    """Lets through who knows a password."""

    users: Mapping[str, Annotated[str, EntryText()]] = required("entries by name of the user")
    realm: str = option("restricted", "what browsers show to say which password is asked for")
    user_header: Annotated[str, FieldName()] | None = option(
        None, "field that tells the upstream who it is; one that a client sends is never passed on"
    )
    forward_credentials: bool = option(False, "whether the upstream gets Authorization")
    remember: Annotated[float, Duration()] = option(300.0, "how long what was found is believed")

    def check_options(self) -> None:
        """Entries can be read, and names can be sent."""
        if not self.realm.isprintable() or '"' in self.realm or "\\" in self.realm or not self.realm.isascii():
            raise ValueError("the realm is plain ASCII text without quotes and backslashes")
        if not self.users:
            raise ValueError("nobody could come in: there is no user")
        for name, text in self.users.items():
            if not name or ":" in name or not name.isprintable():
                raise ValueError(
                    f'"{name}" cannot be the name of a user: it is empty, or has a colon or control characters'
                )
            try:
                name.encode("latin-1")
                Entry.parse(reveal(text))
            except UnicodeEncodeError:
                raise ValueError(f'"{name}" cannot be sent in a header field: it is not Latin-1') from None
            except ValueError as error:
                raise ValueError(f"users.{name}: {error}") from None

    def prepare(self) -> None:
        """Reads the entries; secrets are looked up here, in each worker, and kept nowhere else."""
        self._entries = {name: Entry.parse(reveal(text)) for name, text in self.users.items()}
        # Hashed for a name that nobody has, so that the time does not tell names from passwords.
        self._nobody = next(iter(self._entries.values()), Entry(14, 8, 1, bytes(16), bytes(32)))
        self._key = os.urandom(32)
        self._remembered: dict[bytes, tuple[str | None, float]] = {}
        self._checks: dict[bytes, asyncio.Future[str | None]] = {}
        self._thread = ThreadPoolExecutor(1, "basic_auth")
        challenge = {"WWW-Authenticate": f'Basic realm="{self.realm}", charset="UTF-8"'}
        self._denied = Response.problem(401, "Name and password are required", headers=challenge)
        self._busy = Response.problem(503, "Too many passwords to check", headers={"Retry-After": "1"})

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False)

    def on_request(self, request: Request) -> Response | Coroutine[Any, Any, Response | None] | None:
        """Goes on for who is known, and denies others; a coroutine for credentials that have to be hashed."""
        sent = request.headers.get_all("authorization")
        if len(sent) != 1:
            return self._denied
        digest = hashlib.blake2b(sent[0].encode("latin-1"), key=self._key, digest_size=16).digest()
        found = self._remembered.get(digest)
        if found is not None and found[1] > time.monotonic():
            return self._settle(request, found[0])
        credentials = _credentials(sent[0])
        if credentials is None:
            return self._denied
        check = self._checks.get(digest)
        if check is None and len(self._checks) >= _WAITING_MAX:
            return self._busy
        return self._check(request, digest, credentials)

    async def _check(self, request: Request, digest: bytes, credentials: tuple[str, str]) -> Response | None:
        check = self._checks.get(digest)
        if check is None:
            check = asyncio.get_running_loop().run_in_executor(self._thread, self._who, *credentials)
            self._checks[digest] = check
            check.add_done_callback(lambda done: self._learn(digest, done))
        # Shielded: a client that goes away must not take the answer from others who wait for the same.
        return self._settle(request, await asyncio.shield(check))

    def _learn(self, digest: bytes, check: asyncio.Future[str | None]) -> None:
        del self._checks[digest]
        if check.cancelled() or check.exception() is not None:
            return
        while len(self._remembered) >= _REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = (check.result(), time.monotonic() + self.remember)

    def _who(self, name: str, password: str) -> str | None:
        entry = self._entries.get(name)
        if entry is None:
            self._nobody.fits(password)
            return None
        return name if entry.fits(password) else None

    def _settle(self, request: Request, user: str | None) -> Response | None:
        if user is None:
            return self._denied
        request.store["user"] = user
        request.log["user"] = user
        if self.user_header is not None:
            request.headers[self.user_header] = user
        if not self.forward_credentials:
            del request.headers["authorization"]
        return None


def _credentials(value: str) -> tuple[str, str] | None:
    """Name and password; None when the field has none."""
    scheme, _, text = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    return (name, password) if colon else None


def _main() -> None:
    """Asks for a password, twice, and prints its entry; from a pipe it is the first line."""
    import sys
    from getpass import getpass

    if sys.stdin.isatty():
        try:
            password, again = getpass("Password: "), getpass("Again: ")
        except (EOFError, KeyboardInterrupt):
            raise SystemExit("no password was given") from None
        if again != password:
            raise SystemExit("these are two passwords")
    else:
        password = sys.stdin.readline().removesuffix("\n")
    if not password:
        raise SystemExit("no password was given")
    print(Entry.of(password))  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    _main()
