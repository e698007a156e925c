"""The whole configuration file.

Each option is declared once, with type, default, unit and prose, in the module of its noun. Checks, JSON Schema and the
manual are derived from these declarations. Workers import them and decode a snapshot into them, so nothing here imports
pydantic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from tidegate.config.auth import Auth, AuthKey
from tidegate.config.cache import Cache
from tidegate.config.classes import Classes
from tidegate.config.filters import FilterUse
from tidegate.config.kinds import Doc
from tidegate.config.limits import Allowance, Limit
from tidegate.config.listeners import Certificate, Listener, ListenerTLS
from tidegate.config.logs import AccessLog, ErrorLog, Metrics, Recorder
from tidegate.config.redis import Redis, RedisPool
from tidegate.config.routes import HeaderChange, Redirect, Respond, Rewrite, Route
from tidegate.config.section import Section
from tidegate.config.server import Server
from tidegate.config.shedding import Shed
from tidegate.config.upstreams import DNS, TCP, Endpoint, Pool, Sticky, Upstream, UpstreamTLS

__all__ = [
    "DNS",
    "TCP",
    "AccessLog",
    "Allowance",
    "Auth",
    "AuthKey",
    "Cache",
    "Certificate",
    "Classes",
    "Endpoint",
    "ErrorLog",
    "FilterUse",
    "Gateway",
    "HeaderChange",
    "Limit",
    "Listener",
    "ListenerTLS",
    "Metrics",
    "Pool",
    "Recorder",
    "Redirect",
    "Redis",
    "RedisPool",
    "Respond",
    "Rewrite",
    "Route",
    "Server",
    "Shed",
    "Sticky",
    "Upstream",
    "UpstreamTLS",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway(Section):
    """The configuration of one gateway: validated, with all defaults filled in, and immutable."""

    server: Annotated[Server, Doc("The gateway as a whole.")] = field(default_factory=Server)
    listeners: Annotated[tuple[Listener, ...], Doc("Where clients connect; at least one.")] = ()
    upstreams: Annotated[Mapping[str, Upstream], Doc("Groups of alike servers, by name.")] = field(default_factory=dict)
    redis: Annotated[Mapping[str, Redis], Doc("Redis or Valkey servers, by name.")] = field(default_factory=dict)
    cache: Annotated[Mapping[str, Cache], Doc("What is remembered, by name.")] = field(default_factory=dict)
    auth: Annotated[Mapping[str, Auth], Doc("Who may ask, by name.")] = field(default_factory=dict)
    classes: Annotated[Classes, Doc("Which requests are more important than others.")] = field(default_factory=Classes)
    limits: Annotated[Mapping[str, Limit], Doc("How much may pass, by name.")] = field(default_factory=dict)
    filters: Annotated[Mapping[str, FilterUse], Doc("Filters with their options, by name.")] = field(
        default_factory=dict
    )
    routes: Annotated[tuple[Route, ...], Doc("Which requests, and what becomes of them.")] = ()
    shed: Annotated[Shed, Doc("When a worker has too much to do.")] = field(default_factory=Shed)
    access_log: Annotated[AccessLog, Doc("One line for each exchange.")] = field(default_factory=AccessLog)
    error_log: Annotated[ErrorLog, Doc("What went wrong.")] = field(default_factory=ErrorLog)
    metrics: Annotated[Metrics, Doc("Bounds on metrics.")] = field(default_factory=Metrics)
    recorder: Annotated[Recorder, Doc("The flight recorder.")] = field(default_factory=Recorder)
