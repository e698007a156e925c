"""``[upstreams.NAME]``: groups of alike servers, and how to reach them."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from tidegate.config.kinds import IP, Address, CookieName, Doc, Duration, File, Key, Off, Ref, Shorthand
from tidegate.config.section import Section

__all__ = ["DNS", "TCP", "Endpoint", "Pool", "Sticky", "Upstream", "UpstreamTLS"]

Count = Annotated[int, Ge(1), Le(1_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Section):
    """One address of an upstream; a name that resolves to several addresses stands for all of them."""

    address: Annotated[str, Address(), Doc("`host:port`, `[v6]:port` or `unix:/path`.")]
    weight: Annotated[int, Ge(1), Le(1000), Doc("Share of the requests, relative to the others.")] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Section):
    """Bounds on the connections of one worker to one peer, and on who waits for them."""

    max: Annotated[Count, Doc("Connections open at once.")] = 512
    idle: Annotated[int, Ge(0), Le(1_000_000), Doc("Connections kept when nobody uses them.")] = 256
    wait: Annotated[
        int,
        Ge(0),
        Le(1_000_000),
        Doc("Exchanges that may wait for a connection when all are in use; one more gets 503."),
    ] = 1024
    wait_timeout: Annotated[
        float, Duration(), Doc("How long an exchange waits for a connection before it gets 503.")
    ] = 1.0
    idle_timeout: Annotated[
        float,
        Duration(),
        Doc(
            "Age at which an unused connection is closed; keep it below the server's own, or its close races a request."
        ),
    ] = 30.0
    max_age: Annotated[
        float | None,
        Duration(),
        Off(),
        Doc("Age at which a connection is not used again, so that changes behind a name are noticed."),
    ] = 3600.0
    max_requests: Annotated[Count | None, Off(), Doc("Requests after which a connection is not used again.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky(Section):
    """A client stays with its endpoint, as long as that is usable, by a cookie: HttpOnly, Lax, Secure over TLS."""

    cookie: Annotated[str, CookieName(), Doc("Name of the cookie.")]
    ttl: Annotated[
        float | None, Duration(shortest=1.0), Off(), Doc("How long the client keeps it; off: until it is closed.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTLS(Section):
    """TLS towards the servers of an upstream."""

    verify: Annotated[bool, Doc("Whether the server has to prove who it is. False accepts anybody who answers.")] = True
    ca: Annotated[str | None, File(), Doc("PEM file with the roots to believe; absent: those of the system.")] = None
    name: Annotated[
        str | None, Doc("Name sent (SNI) and expected in the certificate; absent: the host of the endpoint.")
    ] = None
    cert: Annotated[
        str | None, File(), Doc("PEM file with the gateway's own certificate, for servers that ask for one.")
    ] = None
    key: Annotated[str | None, File(), Doc("PEM file with the private key of `cert`.")] = None
    min_version: Annotated[Literal["1.2", "1.3"], Doc("Oldest version of TLS that is spoken.")] = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class DNS(Section):
    """How names of endpoints are kept up to date."""

    refresh: Annotated[
        float,
        Duration(shortest=0.1),
        Doc("Time between two look-ups. The addresses last known stay in use when one fails."),
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TCP(Section):
    """How a dead connection is found out by the kernel."""

    keepalive: Annotated[
        float | None,
        Duration(shortest=1.0),
        Off(),
        Doc("Silence after which the kernel asks whether the server is still there."),
    ] = 60.0
    user_timeout: Annotated[
        float | None,
        Duration(),
        Off(),
        Doc("How long bytes may stay unacknowledged before the connection is given up."),
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream(Section):
    """A group of alike servers, spoken to in HTTP/1.1."""

    endpoints: Annotated[
        tuple[Annotated[Endpoint, Shorthand("address")], ...],
        MinLen(1),
        Doc("The servers: addresses, or tables of address and weight."),
    ]
    balance: Annotated[
        Literal["round_robin", "least_request", "p2c", "consistent_hash", "random"],
        Doc(
            "Who gets the next request: each in turn by weight; the one with the fewest requests in flight; the better "
            "of two at random by recent latency and load (peak-EWMA); always the same for a `hash_key`; or any."
        ),
    ] = "p2c"
    hash_key: Annotated[str, Key(), Doc("What `consistent_hash` looks at.")] = "client.ip"
    hash_balance: Annotated[
        float,
        Ge(1.01),
        Le(100.0),
        Doc(
            "How far over the mean an endpoint may be loaded before `consistent_hash` passes on to the next: "
            "bounded load."
        ),
    ] = 1.25
    sticky: Annotated[Sticky | None, Doc("Keeps each client with one endpoint.")] = None
    limits: Annotated[
        tuple[Annotated[str, Ref("limits")], ...],
        Doc("Limits of what is sent to it, from whichever route; what a route answers itself takes nothing of them."),
    ] = ()
    pool: Annotated[Pool, Doc("Bounds on connections, for each worker and peer.")] = field(default_factory=Pool)
    connect_timeout: Annotated[float, Duration(), Doc("For a connection, with TLS if there is any.")] = 2.0
    read_timeout: Annotated[
        float,
        Duration(),
        Doc("Longest silence of the server: before the first byte of its answer, and between two parts of it."),
    ] = 30.0
    tls: Annotated[UpstreamTLS | None, Doc("TLS; absent: plain HTTP. An empty table means TLS with verification.")] = (
        None
    )
    dns: Annotated[DNS, Doc("How names are resolved.")] = field(default_factory=DNS)
    source_address: Annotated[str | None, IP(), Doc("Local address to connect from; absent: the kernel chooses.")] = (
        None
    )
    tcp: Annotated[TCP, Doc("How dead connections are found out.")] = field(default_factory=TCP)
