"""Charges against admissions: an hour of random traffic, for each limiter of each group.

In virtual time, with the groups that the gateway uses. Beside each limiter stands a model that is charged for
admissions and for nothing else: plain arithmetic on a dict. After every request the limiter has to remember of that key
what the model says: a charge that was lost, doubled or made for somebody who was refused shows at once.
"""

from __future__ import annotations

import heapq
import math
import random
from typing import NamedTuple

from benchmarks import table
from tidegate.config.allotment import allot, room_of
from tidegate.config.limits import Limit as Settings
from tidegate.config.values import parse_rate
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit
from tidegate.limits.peek import peek
from tidegate.memory.region import Region

MEMORY = 8 << 20
SECOND_NS = 1_000_000_000
HOUR_S = 3600
USERS, PATHS = 20, 8
GROUPS = {
    "edge, contract": {
        "edge": Settings(rate="2/s", burst=60, key=("header:X-User",), keys=4096),
        "contract": Settings(rate="20/s", burst=200, key=("path",), keys=4096, cost=3),
    },
    "rate, quota, permits": {
        "rate": Settings(rate="600/min", burst=100, key=("header:X-User",), keys=4096),
        "quota": Settings(quota=900, window=600.0, window_kind="first_use", key=("header:X-User",), keys=4096),
        "permits": Settings(concurrency=3, key=("path",), keys=4096),
    },
    "costs of a field and of time": {
        "field": Settings(rate="100/s", burst=999, key=("header:X-User",), keys=4096, cost="header:X-Cost"),
        "time": Settings(rate="2/s", burst=59, key=("path",), keys=4096, cost="upstream.seconds"),
        "bytes": Settings(
            quota=3_000_000, window=900.0, window_kind="first_use", key=("path",), keys=4096, cost="response.bytes"
        ),
    },
}


class Tally(NamedTuple):
    """What came of the requests of one group, and how often a limiter remembered something else than its model."""

    requests: int
    admitted: int
    compared: int
    differences: int


class _Model:
    """What one limiter should remember of each key."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.kind = limit.settings.kind
        self.is_by_path = limit.settings.key == ("path",)
        self.held: dict[str, int] = {}
        self.used: dict[str, tuple[int, float]] = {}  # end of the window in ms, count
        self.arrival_ns: dict[str, int] = {}

    def begin(self, key: str, now_ns: int, cost: float) -> int:
        """Charges an admission; the end of what it took up, for ``settle``."""
        if self.kind == "concurrency":
            self.held[key] = self.held.get(key, 0) + 1
        elif self.kind == "quota":
            until_ms, used = self.used.get(key, (0, 0.0))
            now_ms = now_ns // 1_000_000
            if until_ms <= now_ms:
                until_ms, used = now_ms + round(self.limit.settings.window * 1000), 0.0
            self.used[key] = (until_ms, used + cost)
            return until_ms
        else:
            arrival_ns = max(self.arrival_ns.get(key, 0), now_ns) + self._emission_ns(cost)
            self.arrival_ns[key] = arrival_ns
            return arrival_ns
        return 0

    def settle(self, key: str, now_ns: int, until: int, beforehand: float, taken: float) -> None:
        """The difference between what was charged and what it took, where that is still of account."""
        if self.kind == "concurrency":
            self.held[key] -= 1
        elif self.kind == "quota":
            if taken > beforehand:
                self.begin(key, now_ns, taken - beforehand)
            elif self.used[key][0] == until:
                self.used[key] = (until, self.used[key][1] - (beforehand - taken))
        elif taken > beforehand:
            self.begin(key, now_ns, taken - beforehand)
        elif self.arrival_ns[key] > now_ns:
            self.arrival_ns[key] -= max(0, min(self._emission_ns(beforehand - taken), until - now_ns))

    def _emission_ns(self, cost: float) -> int:
        count, period_s = parse_rate(self.limit.settings.rate)
        return math.ceil(cost * (period_s * SECOND_NS) / count)

    def agrees(self, head: bytes, key: str, path: str, now_ns: int) -> bool:
        """Whether the limiter remembers the same of this key."""
        now_ms = now_ns // 1_000_000
        found = peek(self.limit, head, now_ns, now_ms, path=path, cost=0)
        if self.kind == "concurrency":
            return found.remaining == self.limit.settings.concurrency - self.held.get(key, 0)
        if self.kind == "quota":
            until_ms, used = self.used.get(key, (0, 0.0))
            return found.remaining == max(0, self.limit.settings.quota - (used if until_ms > now_ms else 0))
        ahead_ns = max(0, self.arrival_ns.get(key, 0) - now_ns)
        return round(found.reset_s * 1e9) == ahead_ns


class _Request(NamedTuple):
    head: bytes
    user: str
    path: str
    ticket: bytearray
    untils: list[int]


def play(name: str, seconds: int = HOUR_S, per_s: float = 8.0, seed: int = 1) -> Tally:
    """Random requests to one of ``GROUPS``; each ends after a random time, and some of them are cut short."""
    chance = random.Random(f"{seed} {name}")
    settings = GROUPS[name]
    region = Region.create(1, **room_of(MEMORY))
    places, _ = allot({}, settings, MEMORY)
    inflight = region.inflight(0)
    limits = [Limit(n, s, places[n], region.mapping, region.secret, inflight) for n, s in settings.items()]
    group, models = Group(tuple(limits)), [_Model(limit) for limit in limits]
    under_way: list[tuple[int, int, _Request]] = []
    now_ns, until_ns = SECOND_NS, (1 + seconds) * SECOND_NS
    requests = admitted = compared = differences = 0

    def compare(head: bytes, user: str, path: str) -> None:
        nonlocal compared, differences
        for model in models:
            compared += 1
            differences += not model.agrees(head, path if model.is_by_path else user, path, now_ns)

    while now_ns < until_ns or under_way:
        next_ns = now_ns + int(chance.expovariate(per_s) * SECOND_NS) if now_ns < until_ns else until_ns * 2
        while under_way and under_way[0][0] <= next_ns:
            now_ns, _, request = heapq.heappop(under_way)
            _end(group, models, request, now_ns, chance)
            compare(request.head, request.user, request.path)
        if next_ns >= until_ns:
            now_ns = max(now_ns, until_ns)
            continue
        now_ns = next_ns
        user, path = f"u{int(chance.paretovariate(1.0)) % USERS}", f"/p{chance.randrange(PATHS)}"
        head = f"GET {path} HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\nX-Cost: {chance.randrange(1, 50)}\r\n\r\n".encode()
        requests += 1
        _, _, ticket = group.begin(head, now_ns, wall_ms=now_ns // 1_000_000)
        if ticket is not None:
            admitted += 1
            untils = [
                model.begin(path if model.is_by_path else user, now_ns, cost)
                for model, cost in zip(models, group.costs(ticket), strict=True)
            ]
            ends_ns = now_ns + int(chance.expovariate(2.0) * SECOND_NS)
            heapq.heappush(under_way, (ends_ns, requests, _Request(head, user, path, ticket, untils)))
        compare(head, user, path)
    region.close()
    return Tally(requests, admitted, compared, differences)


def _end(group: Group, models: list[_Model], request: _Request, now_ns: int, chance: random.Random) -> None:
    beforehand = group.costs(request.ticket)
    is_cut_short = chance.random() < 0.1
    took_ns = 0 if is_cut_short else int(chance.expovariate(2.0) * SECOND_NS)
    size = 0 if is_cut_short else chance.randrange(20_000)
    group.end(request.ticket, now_ns, wall_ms=now_ns // 1_000_000, upstream_ns=took_ns, response_bytes=size)
    for model, until, before, taken in zip(
        models, request.untils, beforehand, group.costs(request.ticket), strict=True
    ):
        model.settle(request.path if model.is_by_path else request.user, now_ns, until, before, taken)


def charges() -> int:
    """An hour for each group."""
    rows, differences = [], 0
    for name in GROUPS:
        tally = play(name)
        differences += tally.differences
        rows.append(
            {"an hour of random traffic": name, **{word: table.count(n) for word, n in tally._asdict().items()}}
        )
    print(table.render(rows))
    return int(differences > 0)
