"""``[limits.NAME]``: how much may pass, and for whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le

from tidegate.config.adaptive import Adaptive
from tidegate.config.kinds import Doc, Duration, Rate, Ref, Shorthand
from tidegate.config.limit_cost import COST_MAX, Cost, CostUnit
from tidegate.config.limit_keys import KeyPart, LimitKey, parse_key_part
from tidegate.config.section import Section

__all__ = ["ENDPOINT_STEP_MAX", "PERMITS_MAX", "STEP_MAX", "Allowance", "Limit"]

ENDPOINT_STEP_MAX = 4
"""Of these, limits by `endpoint`."""

STEP_MAX = 16
"""Limits that one step of a request may ask, all together: what each has come to has room in every exchange."""

PERMITS_MAX = 65_535
"""Permits of one key: more than a single worker can count (``memory.inflight``) could not all be taken."""

Burst = Annotated[int, Ge(0), Le(1_000_000_000)]
Count = Annotated[int, Ge(0), Le(1_000_000_000_000)]
Permits = Annotated[int, Ge(0), Le(PERMITS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance(Section):
    """What a tier, or one key, is allowed instead; what is absent is as the limit says."""

    rate: Annotated[str | None, Rate(), Doc("Its rate.")] = None
    burst: Annotated[Burst | None, Doc("Its burst.")] = None
    quota: Annotated[Count | None, Doc("Its quota.")] = None
    concurrency: Annotated[Permits | None, Doc("Its concurrency.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Section):
    """How much may pass: one of `rate`, `quota`, `concurrency` and `adaptive`.

    A limit takes effect where it is named: on listeners, routes and upstreams. All limits of one step are charged for a
    request, or none is.
    """

    rate: Annotated[
        str | None,
        Rate(),
        Doc("Requests in a second, minute, hour or day, evenly spread: 60/min is one a second. 0/s lets nobody in."),
    ] = None
    quota: Annotated[Count | None, Doc("Requests in a `window`, however they are spread in it.")] = None
    window: Annotated[
        float | None, Duration(shortest=1.0, longest=366 * 86400.0), Doc("How long a window of the quota is.")
    ] = None
    window_kind: Annotated[
        Literal["aligned", "first_use", "sliding"],
        Doc(
            "When it begins: at multiples of its length since 1970 UTC (days at midnight); with the first request of "
            "its key; or always so long ago as it is, estimated from two aligned ones."
        ),
    ] = "aligned"
    concurrency: Annotated[
        Permits | None, Doc("Requests that may be under way at once towards upstreams, of all workers together.")
    ] = None
    adaptive: Annotated[
        Annotated[Adaptive, Shorthand("algorithm")] | None,
        Doc("The same, learned from how long upstreams take: the name of an algorithm, or a table."),
    ] = None
    queue: Annotated[
        int,
        Ge(0),
        Le(60_000),
        Doc(
            "Requests that may wait for a permit (with a `key`, of each one), of all workers together; one more is "
            "refused. The most important class is served first, tenants in turn, and once the oldest has waited for "
            "half of its time the newest goes first."
        ),
    ] = 0
    queue_timeout: Annotated[float, Duration(), Doc("How long one waits in the queue before it is refused.")] = 1.0
    unit_delay: Annotated[
        float | None,
        Duration(),
        Doc(
            "With `burst`, requests beyond `concurrency` are not refused but wait: the next `concurrency` of them one "
            "unit, the next two, and so on. What a unit is to begin with; it becomes the time that requests take. "
            "Absent: they are refused, or wait in the `queue`."
        ),
    ] = None
    shares: Annotated[
        Mapping[str, Annotated[float, Ge(0), Le(1)]],
        Doc(
            "By class, the part of `concurrency` that it has a right to: what it does not want is lent to others, and "
            "comes back with the next permits that are free. With `queue`."
        ),
    ] = field(default_factory=dict)
    weights: Annotated[
        Mapping[str, Annotated[float, Ge(0.01), Le(1000)]],
        Doc(
            "By tenant, how many times as often it is served as others of its class while all of them wait in the "
            "`queue`; 1 for whom it does not name."
        ),
    ] = field(default_factory=dict)
    burst: Annotated[
        Burst,
        Doc(
            "Requests that may come ahead of the rate, and are paid back at it; or beyond `concurrency`, with "
            "`unit_delay`."
        ),
    ] = 0
    excess: Annotated[
        Literal["reject", "delay"],
        Doc(
            "What becomes of those: `reject` lets them pass at once and refuses what is beyond; `delay` makes them "
            "wait for their turn, in order, and refuses what is beyond them."
        ),
    ] = "reject"
    delay_after: Annotated[Burst, Doc("Of the burst, requests that pass without waiting (with `delay`).")] = 0
    max_delay: Annotated[
        float | None,
        Duration(),
        Doc("Who would wait longer is refused at once (with `delay`). Absent: as long as the burst makes it."),
    ] = None
    cost: Annotated[
        int | str,
        Cost(),
        Doc(
            "What one request takes of the rate or quota: a number; what a field of the request says (none: 1); or "
            "what it took in the end, in seconds of its upstream or bytes of the answer's body. Of the latter the "
            "recent mean of its route is charged when it comes, and the difference when it has ended."
        ),
    ] = 1
    cost_unit: Annotated[
        str | None,
        CostUnit(),
        Doc("How much of what is measured counts as one. Absent: a second, a byte. A quota counts begun ones."),
    ] = None
    cost_max: Annotated[
        Annotated[int, Ge(1), Le(COST_MAX)] | None,
        Doc(
            "The most that a field may say; more, what is no whole number, and a field that is there twice count as "
            "much. Absent: as much as the limit holds."
        ),
    ] = None
    charge: Annotated[
        Literal["always", "on_failure"],
        Doc(
            "`on_failure` charges only what is answered with 401 or 403: guesses. Who has used it up is refused before "
            "anything is looked at."
        ),
    ] = "always"
    key: Annotated[
        tuple[str, ...] | None,
        LimitKey(),
        Doc(
            "What requests are told apart by, each with an allowance of its own: one thing or a list for all of "
            "them together. Absent: all share one."
        ),
    ] = None
    missing_key: Annotated[
        Literal["own", "refuse", "skip"],
        Doc(
            "What becomes of requests without the field, cookie or parameter, or with several of its name: they share "
            "one allowance, are refused, or pass by the limit."
        ),
    ] = "own"
    keys: Annotated[
        int,
        Ge(64),
        Le(1 << 28),
        Doc("How many different keys are remembered at once; they take room of `server.limits_memory`."),
    ] = 65_536
    show_keys: Annotated[
        bool,
        Doc(
            "Whether status and recordings show the values of fields, cookies and query parameters whole. Otherwise "
            "the first quarter, at most six bytes, and a hash: they may be secrets."
        ),
    ] = False
    tiers: Annotated[Mapping[str, Allowance], Doc("What keys of a tier (`auth`) are allowed instead.")] = field(
        default_factory=dict
    )
    overrides: Annotated[
        Mapping[str, Allowance],
        Doc("What single values of `key` are allowed instead; they come before tiers. Of `auth.key`: its digests."),
    ] = field(default_factory=dict)
    scope: Annotated[
        Literal["machine", "fleet"],
        Doc(
            "Who counts together: the workers of this gateway, or all gateways that share the `store`. A fleet's rate "
            "or quota is borrowed in parts, which are used up here without asking, and so are permits."
        ),
    ] = "machine"
    store: Annotated[str | None, Ref("redis"), Doc("The `redis` that a fleet shares (with `scope`).")] = None
    mode: Annotated[
        Literal["lease", "exact"],
        Doc(
            "How a fleet counts: from what was borrowed, which is quick and may be exceeded by a second's worth, or by "
            "asking the `store` for each request, all such limits of a step as one. Of `concurrency`: whether permits "
            "are kept ready."
        ),
    ] = "lease"
    on_store_failure: Annotated[
        Literal["share", "allow", "deny"],
        Doc(
            "What a gateway does while the `store` is away: it lets in its part of the rate or quota, by the last "
            "known number of gateways; everybody; or nobody."
        ),
    ] = "share"
    latency_cap: Annotated[
        float,
        Duration(longest=1.0),
        Doc("How long a request waits for the `store` at most, if it has to; then it is as if the store were away."),
    ] = 0.01
    status: Annotated[
        Annotated[int, Ge(400), Le(599)] | None, Doc("Status of a refusal; absent: 429, of concurrency 503.")
    ] = None
    headers: Annotated[
        tuple[Literal["Tidegate-Limit", "RateLimit", "X-RateLimit"], ...],
        Doc(
            "Fields of a refusal beside `Retry-After`: the limit's name; `RateLimit` and `RateLimit-Policy` (IETF "
            "draft); the older `X-RateLimit-Limit`, `-Remaining` and `-Reset`."
        ),
    ] = ("Tidegate-Limit", "RateLimit")
    report: Annotated[
        Literal["refusal", "always"],
        Doc(
            "Which answers have the `RateLimit` and `X-RateLimit` fields of `headers`: refusals, or those to requests "
            "that it lets in as well."
        ),
    ] = "refusal"
    dry_run: Annotated[bool, Doc("Counts what it would refuse, and refuses nothing.")] = False

    @property
    def kind(self) -> Literal["rate", "quota", "concurrency"]:
        """What it bounds."""
        return "rate" if self.rate is not None else "quota" if self.quota is not None else "concurrency"

    @property
    def is_fleet(self) -> bool:
        """Whether it counts with other gateways."""
        return self.scope == "fleet"

    @property
    def has_burst(self) -> bool:
        """Whether some may come beyond what it allows steadily."""
        return self.kind == "rate" or self.unit_delay is not None

    def allowed_at_once(self, allowance: Allowance | None) -> tuple[int, int]:
        """Of a limit of concurrency: how many may be under way, and how many more may wait to be, by `unit_delay`."""
        concurrency = self.concurrency if allowance is None or allowance.concurrency is None else allowance.concurrency
        burst = self.burst if allowance is None or allowance.burst is None else allowance.burst
        return concurrency or 0, 0 if self.unit_delay is None else burst

    @property
    def is_asked_at_endpoints(self) -> bool:
        """Whether it is asked of each endpoint that may get the request, until one has room."""
        return any(part.source == "endpoint" for part in self.key_parts)

    @property
    def key_parts(self) -> tuple[KeyPart, ...]:
        """What requests are told apart by, read."""
        return tuple(parse_key_part(part) for part in self.key or ())

    @property
    def needs_auth(self) -> bool:
        """Whether who asks has to be known before it can be asked."""
        return bool(self.tiers) or any(part.needs_auth for part in self.key_parts)

    @property
    def is_edge(self) -> bool:
        """Whether it is asked as soon as the route is known: it needs to know neither who asks nor the upstream."""
        by_upstream = any(part.source in ("upstream", "endpoint") for part in self.key_parts)
        return not self.needs_auth and not by_upstream and self.kind != "concurrency"
