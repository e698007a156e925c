"""``[[routes]]``: which requests, and what becomes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from tidegate.config.kinds import (
    Doc,
    Duration,
    FieldName,
    FieldValue,
    Host,
    Match,
    Method,
    Off,
    Path,
    Prefix,
    Ref,
    Regex,
    Size,
    Template,
)
from tidegate.config.section import Section

__all__ = ["HeaderChange", "Redirect", "Respond", "Rewrite", "Route"]

Name = Annotated[str, FieldName()]
Value = Annotated[str, FieldValue()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Section):
    """An answer that sends the client elsewhere."""

    to: Annotated[
        str,
        MinLen(1),
        Doc(
            "Where to: a URL or a path. `{scheme}`, `{host}`, `{path}`, `{query}` (with its `?`) and the captures of "
            "the route's path are filled in; `{*}` is what the `*` of a prefix stands for."
        ),
    ]
    status: Annotated[
        Literal[301, 302, 303, 307, 308], Doc("308 and 307 keep method and body; 301 and 308 are remembered.")
    ] = 308


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond(Section):
    """A fixed answer."""

    status: Annotated[int, Ge(200), Le(599), Doc("Status of the answer.")] = 200
    body: Annotated[str, Doc("Body of the answer.")] = ""
    headers: Annotated[
        Mapping[Name, Value], Doc("Fields of the answer; `Content-Length` and the hop-by-hop fields are the gateway's.")
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite(Section):
    """What the upstream gets for a path: `strip_prefix`, then `regex`, then `prefix`; or `path` instead of all."""

    strip_prefix: Annotated[str | None, Prefix(), Doc("Taken off the front, if it is there as whole segments.")] = None
    prefix: Annotated[str | None, Prefix(), Doc("Put in front.")] = None
    path: Annotated[
        str | None,
        Template(),
        Doc(
            "The whole path. The captures `{name}` of the route's path, and `{*}` for what its `*` stands for, "
            "are filled in."
        ),
    ] = None
    regex: Annotated[
        str | None, Regex(), Doc("What in the path is replaced by `replace`: the first place where it matches (RE2).")
    ] = None
    replace: Annotated[str, Doc(r"What is put in place of `regex`; `\1` to `\9` are its groups.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChange(Section):
    """Changes to header fields, in this order: `remove`, `set`, `add`."""

    remove: Annotated[tuple[Name, ...], Doc("Fields taken away.")] = ()
    set: Annotated[Mapping[Name, Value], Doc("Fields that have this value and no other.")] = field(default_factory=dict)
    add: Annotated[Mapping[Name, Value], Doc("Fields added beside those that are there.")] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Section):
    """Which requests, and exactly one of `upstream`, `redirect` and `respond`.

    The highest `priority` wins. Among equals: an exact host before a wildcard (the longer first) before any host; then
    an exact path before a template, before a prefix (the longer first), before a regex, before `/*`; then more matchers
    (methods counting one, each header and each query parameter) before fewer; then the first in the file. A route
    whose matchers do not fit is passed over, and the next may still take the request.
    """

    name: Annotated[str, MinLen(1), Doc("Names the route in logs, metrics and messages; each has its own.")]
    hosts: Annotated[
        tuple[Annotated[str, Host()], ...], Doc("Exact hosts, or `*.example.com` for all below it; none: any.")
    ] = ()
    path: Annotated[
        str,
        Path(),
        Doc(
            "`/a` exact, `/a/*` for `/a` and all below it, `/users/{id}` with captures, `~^/x/[0-9]+$` a regex "
            "(RE2, searched for)."
        ),
    ] = "/*"
    methods: Annotated[tuple[Annotated[str, Method()], ...], Doc("Methods; none: any. GET lets HEAD in as well.")] = ()
    headers: Annotated[
        Mapping[Name, Annotated[str | bool, Match()]],
        Doc("Fields a request has to have: a value, `~regex`, `true` for any value, `false` for absent."),
    ] = field(default_factory=dict)
    query: Annotated[
        Mapping[str, Annotated[str | bool, Match()]],
        Doc("Query parameters a request has to have: a value, `~regex`, `true` for any value, `false` for absent."),
    ] = field(default_factory=dict)
    priority: Annotated[int, Ge(-1_000_000), Le(1_000_000), Doc("The higher is asked first.")] = 0
    upstream: Annotated[str | None, Ref("upstreams"), Doc("Where the request goes.")] = None
    redirect: Annotated[Redirect | None, Doc("Sends the client elsewhere.")] = None
    respond: Annotated[Respond | None, Doc("Answers by itself.")] = None
    rewrite: Annotated[Rewrite | None, Doc("Changes the path that the upstream gets.")] = None
    request_headers: Annotated[HeaderChange | None, Doc("Changes to what the upstream gets.")] = None
    response_headers: Annotated[HeaderChange | None, Doc("Changes to what the client gets.")] = None
    auth: Annotated[str | None, Ref("auth"), Doc("Who may ask; absent: anybody.")] = None
    limits: Annotated[
        tuple[Annotated[str, Ref("limits")], ...],
        Doc("Limits of its requests; they are asked together, whatever their order."),
    ] = ()
    traffic_class: Annotated[
        str | None, Doc("How important its requests are: one of `classes.names`. Absent: `classes.default`.")
    ] = None
    filters: Annotated[
        tuple[Annotated[str, Ref("filters")], ...], Doc("Filters, in the order in which they see the request.")
    ] = ()
    timeout: Annotated[
        float | None,
        Duration(),
        Off(),
        Doc("For the whole exchange, from head to last byte; off for long streams. An upgraded connection has none."),
    ] = 60.0
    max_body: Annotated[int | None, Size(), Doc("Largest request body; absent: as the listener says.")] = None
    preserve_host: Annotated[
        bool, Doc("Whether the upstream gets the client's Host; false: the address of the endpoint.")
    ] = True
    upgrade: Annotated[bool, Doc("Whether WebSocket upgrades go through. Any other upgrade never does.")] = True
    upgrade_idle_timeout: Annotated[
        float | None, Duration(), Off(), Doc("Silence in both directions after which an upgraded connection is closed.")
    ] = 600.0
    path_form: Annotated[
        Literal["canonical", "raw"],
        Doc(
            "What is sent on: the path that was matched, or the bytes that came. "
            "With `raw` the upstream may read a path differently from the gateway."
        ),
    ] = "canonical"
    allow_encoded: Annotated[
        tuple[Literal["%2F", "%5C", "%00", "backslash", "non-ascii"], ...],
        Doc("What is let through in a path as it came, and is 400 otherwise; `non-ascii` is for raw bytes over 127."),
    ] = ()
