"""``[[listeners]]``: where clients connect, and what they may send."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from tidegate.config.kinds import Address, Doc, Duration, File, Mode, Off, Ref, Size
from tidegate.config.section import Section

__all__ = ["Certificate", "Listener", "ListenerTLS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(Section):
    """One certificate with its key; the names in it say which clients get it."""

    cert: Annotated[str, File(), Doc("PEM file with the certificate and the chain that leads to its root.")]
    key: Annotated[str, File(), Doc("PEM file with the private key, not encrypted.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTLS(Section):
    """TLS towards clients."""

    certificates: Annotated[
        tuple[Certificate, ...],
        MinLen(1),
        Doc("Chosen by the name the client asks for; the first one when it asks for none that is known."),
    ]
    min_version: Annotated[Literal["1.2", "1.3"], Doc("Oldest version of TLS that is spoken.")] = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener(Section):
    """One address to listen on, and the bounds on what its clients send."""

    bind: Annotated[str, Address(), Doc("Address to listen on: `host:port`, `[v6]:port` or `unix:/path`.")]
    backlog: Annotated[int, Ge(1), Le(65_535), Doc("Connections that may wait to be accepted, for each worker.")] = 4096
    mode: Annotated[int, Mode(), Doc("Permissions of a unix socket.")] = 0o660
    owner: Annotated[
        str | None, Doc("Owner of a unix socket, as `user` or `user:group`; absent: who runs the gateway.")
    ] = None
    tls: Annotated[ListenerTLS | None, Doc("TLS; absent: plain HTTP.")] = None
    limits: Annotated[
        tuple[Annotated[str, Ref("limits")], ...],
        Doc("Limits of all its requests: the outermost, asked before anything is looked up."),
    ] = ()
    head_timeout: Annotated[
        float,
        Duration(),
        Doc("From the first byte of a request (for the first one: from accept) to the end of its head."),
    ] = 10.0
    idle_timeout: Annotated[
        float,
        Duration(),
        Doc("How long a kept-alive connection may rest between two requests; more than the usual 60 s of balancers."),
    ] = 75.0
    body_timeout: Annotated[
        float,
        Duration(),
        Doc("Longest wait for the next part of a request body, or for the client to take the next part of an answer."),
    ] = 30.0
    lingering_timeout: Annotated[
        float,
        Duration(),
        Doc(
            "How long the rest of a refused request is still read and thrown away, so that the client sees the answer."
        ),
    ] = 5.0
    max_head: Annotated[
        int, Size(smallest=1024, largest=128 << 10), Doc("Largest request head: request line and fields.")
    ] = 32 << 10
    max_headers: Annotated[int, Ge(1), Le(128), Doc("Most fields in a request head.")] = 100
    max_uri: Annotated[int, Size(smallest=64, largest=64 << 10), Doc("Longest request target.")] = 8 << 10
    max_body: Annotated[
        int | None,
        Size(),
        Off(),
        Doc(
            "Largest request body; a route may say otherwise. Bodies stream in bounded memory, so this protects the "
            "upstreams rather than the gateway, and can be generous."
        ),
    ] = 1 << 30
    keepalive_requests: Annotated[
        Annotated[int, Ge(1), Le(1_000_000_000)] | None,
        Off(),
        Doc("Requests after which a connection is closed, to spread long-lived clients over the workers anew."),
    ] = None
    half_close: Annotated[
        Literal["serve", "abort"],
        Doc(
            "What it means when a client ends its sending half after a request: that it waits for the answer, or that "
            "it is gone and its request is cancelled. Programs that are stopped look the same as those that wait. Who "
            "waits for a turn or a permit of a limit is refused then at once (`serve`), and gives it back in any case."
        ),
    ] = "serve"
    allow_underscores: Annotated[
        bool,
        Doc(
            "Whether client fields with `_` in their names go on. They are dropped by default, because many servers "
            "take `X_User_Id` for `X-User-Id`; one that equals a field the gateway sets is dropped always."
        ),
    ] = False
