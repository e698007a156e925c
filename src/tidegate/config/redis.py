"""``[redis.NAME]``: Redis or Valkey servers that the gateway uses, and how."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote, urlsplit

from annotated_types import Ge, Le, MinLen

from tidegate.config.kinds import Address as ServerAddress
from tidegate.config.kinds import Doc, Duration, Kind, Reference, Size, describe
from tidegate.config.section import Section
from tidegate.config.upstreams import UpstreamTLS
from tidegate.config.values import Address, parse_address

__all__ = ["Redis", "RedisPool", "RedisTarget", "parse_redis_url"]

Count = Annotated[int, Ge(1), Le(10_000_000)]


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """What a URL says: where, as whom, which database, and whether over TLS."""

    address: Address
    is_tls: bool = False
    user: str = ""
    database: int = 0


def parse_redis_url(text: str) -> RedisTarget:
    """The target of ``redis://USER@HOST:PORT/DATABASE``, ``rediss://…`` or ``unix:///PATH?db=DATABASE``.

    Raises ValueError, which never shows the text when there is a password in it.
    """
    parts = urlsplit(text)
    if parts.password is not None:
        raise ValueError('has a password in it; write password = "env:NAME" or "file:PATH" instead')
    user = unquote(parts.username or "")
    if parts.scheme == "unix" and not parts.hostname:
        database = parts.query.removeprefix("db=") or "0"
        return RedisTarget(parse_address(f"unix:{unquote(parts.path)}"), False, user, _database(database))
    if parts.scheme not in ("redis", "rediss") or parts.query or parts.fragment:
        raise ValueError(f"expected {RedisUrl.expects}, got {describe(text)}")
    try:
        port = parts.port or 6379
    except ValueError:
        raise ValueError("the port of a URL is a number from 1 to 65535") from None
    host = parts.hostname or ""
    address = parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return RedisTarget(address, parts.scheme == "rediss", user, _database(parts.path.removeprefix("/") or "0"))


def _database(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ValueError("the database at the end of a URL is a number, such as /0")
    return int(text)


@dataclass(frozen=True, slots=True)
class RedisUrl(Kind):
    """Where a server is."""

    expects: ClassVar[str] = 'a URL such as "redis://127.0.0.1:6379/0", "rediss://…" or "unix:///run/redis.sock"'

    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")  # noqa: TRY004 - pydantic collects it
        parse_redis_url(value)
        return value

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPool(Section):
    """Bounds on what is under way at once, for each worker and lane; in the words of connection pools."""

    max: Annotated[Count, Doc("Commands in flight. One more waits.")] = 4096
    bytes: Annotated[int, Size(smallest=1024), Doc("Bytes of commands in flight. One more command waits.")] = 64 << 20
    wait: Annotated[int, Ge(0), Le(10_000_000), Doc("Callers that may wait for one of these; one more is refused.")] = (
        65_536
    )
    wait_timeout: Annotated[float, Duration(), Doc("How long they wait, for a connection too.")] = 1.0
    idle: Annotated[
        int | None,
        Ge(0),
        Doc("Taken from pools of connections and without effect: a lane is one connection, opened once and kept."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis(Section):
    """A Redis or Valkey server, a set with Sentinels, or a cluster.

    Each worker has at most three connections to a server, one for each lane.
    """

    url: Annotated[
        str, RedisUrl(), Doc("`redis://USER@HOST:PORT/DATABASE`, `rediss://…` for TLS, or `unix:///PATH?db=DATABASE`.")
    ]
    sentinels: Annotated[
        tuple[Annotated[str, ServerAddress()], ...],
        Doc("Sentinels that know where the master is; the host of `url` is then what they call it."),
    ] = ()
    sentinel_password: Annotated[str | None, Reference(), Doc("The same for the Sentinels.")] = None
    cluster: Annotated[bool, Doc("Whether it is a cluster, of which `url` is one node.")] = False
    nodes: Annotated[
        tuple[Annotated[str, ServerAddress()], ...], Doc("Further nodes of a cluster to ask for the others.")
    ] = ()
    user: Annotated[str, Doc("The user of its ACL; absent: the one of the URL, or the default user.")] = ""
    password: Annotated[
        str | None, Reference(), Doc("A reference, `env:NAME` or `file:PATH`, looked up for each connection.")
    ] = None
    tls: Annotated[UpstreamTLS | None, Doc("TLS other than `rediss://` alone says: roots, names, a certificate.")] = (
        None
    )
    client_name: Annotated[str, MinLen(1), Doc("How its connections are called in CLIENT LIST.")] = "tidegate"
    connect_timeout: Annotated[float, Duration(), Doc("For a connection, with TLS and greeting.")] = 2.0
    timeout: Annotated[float, Duration(), Doc("From a command to its reply, where a caller says nothing else.")] = 1.0
    bulk_timeout: Annotated[float, Duration(), Doc("The same on the lane for large values.")] = 30.0
    linger: Annotated[
        float,
        Duration(shortest=0.0, longest=1.0),
        Doc("How long a command waits for others to travel with; `0s`: those of one turn of the loop travel together."),
    ] = 0.0
    batch: Annotated[Count, Doc("Commands that end a `linger`.")] = 64
    pool: Annotated[RedisPool, Doc("Bounds on what is under way, for each worker and lane.")] = field(
        default_factory=RedisPool
    )
