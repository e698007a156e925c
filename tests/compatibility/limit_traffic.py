"""Our limits behind the calls of lua-resty-limit-traffic: what it answered can be asked of them.

Each ``incoming`` answers as that library does: {"ok", "delay", ...}, with a delay in s and what the library calls its
state (excess, conn, remaining).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Protocol

from tidegate.config.allotment import allot
from tidegate.config.limits import Limit as Settings
from tidegate.limits.limit import Limit
from tidegate.limits.quota import QuotaLimit
from tidegate.limits.rate import RateLimit
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.rates import RateTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

SETS = 16
MEMORY = 4 << 20
KEYS = Fingerprints(bytes(32), "compatibility")
REFUSED = {"ok": False, "err": "rejected"}
NS, MS = 10**9, 10**6

Answer = dict[str, Any]


class Limiter(Protocol):
    """What a sequence asks of a limiter; ``now_ns`` is its clock."""

    def incoming(self, key: str, now_ns: int, *, commit: bool) -> Answer: ...
    def uncommit(self, key: str, now_ns: int) -> None: ...


class Req:
    """``limit.req`` is a rate that delays."""

    state = "excess"

    def __init__(self, region: Region, *, rate: float, burst: float) -> None:
        self.limit = RateLimit(RateTable(region.mapping, 0, SETS), rate, NS, burst, "delay")
        self.rate = rate
        self.latest: defaultdict[str, list[int]] = defaultdict(list)  # what a refund of each asks for

    def incoming(self, key: str, now_ns: int, *, commit: bool) -> Answer:
        ask = self.limit.charge if commit else self.limit.peek
        fingerprint = KEYS.of_key(key.encode())
        delay_ns = ask(fingerprint, now_ns)
        if commit and delay_ns >= 0:
            self.latest[key].append(now_ns + self.limit.left(fingerprint, now_ns)[1])
        return REFUSED if delay_ns < 0 else {"ok": True, "delay": delay_ns / NS, "excess": delay_ns / NS * self.rate}

    def uncommit(self, key: str, now_ns: int) -> None:
        if self.latest[key]:
            self.limit.refund(KEYS.of_key(key.encode()), now_ns, self.latest[key].pop())


class Count:
    """``limit.count`` is a quota in a window from the first use."""

    state = "remaining"

    def __init__(self, region: Region, *, limit: int, window: float) -> None:
        self.limit = QuotaLimit(QuotaTable(region.mapping, 0, SETS), limit, int(window * 1000), "first_use")
        self.latest: dict[str, tuple[int, int, int]] = {}

    def incoming(self, key: str, now_ns: int, *, commit: bool) -> Answer:
        ask = self.limit.count if commit else self.limit.look
        left, window = ask(KEYS.of_key(key.encode()), now_ns // MS, now_ns // MS)
        if left < 0:
            return REFUSED
        if commit:
            self.latest[key] = window
        return {"ok": True, "delay": 0, "remaining": left}

    def uncommit(self, key: str, now_ns: int) -> None:
        if key in self.latest:
            self.limit.give_back(self.latest[key])


class Conn:
    """``limit.conn`` is a limit of concurrency whose ``burst`` waits."""

    state = "conn"

    def __init__(self, region: Region, *, max: int, burst: int, unit_delay: float) -> None:  # noqa: A002 - its name
        settings = Settings(concurrency=max, burst=burst, unit_delay=unit_delay, key=("header:K",), keys=64)
        places, _ = allot({}, {"conn": settings}, MEMORY)
        self.limit = Limit("conn", settings, places["conn"], region.mapping, region.secret, region.inflight(0))
        self.rows: defaultdict[str, list[int]] = defaultdict(list)

    def incoming(self, key: str, now_ns: int, *, commit: bool) -> Answer:
        taken = self.limit.take(key.encode())
        if taken is None:
            return REFUSED
        row, wait_ns = taken
        opened = self.limit.held(key.encode())
        if commit:
            self.rows[key].append(row)
        else:
            self.limit.give_back(row, key.encode())
        return {"ok": True, "delay": wait_ns / NS, "conn": opened}

    def uncommit(self, key: str, now_ns: int) -> None:
        self.leaving(key, None)

    def leaving(self, key: str, latency: float | None) -> Answer:
        if self.rows[key]:
            self.limit.give_back(self.rows[key].pop(), key.encode(), latency)
        elif latency is not None and self.limit.unit_delay is not None:
            self.limit.unit_delay.learn(latency)
        assert self.limit.unit_delay is not None
        return {"conn": self.limit.held(key.encode()), "unit_delay": self.limit.unit_delay.unit_s}


KINDS = {"req": Req, "count": Count, "conn": Conn}


class Sequence:
    """One sequence of calls; ``answer`` takes its steps in order."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.now_ns = round(told["start"] * NS)
        self.limiters: dict[str, Any] = {}
        for name, options in told["limiters"].items():
            kind, rest = options["kind"], {word: value for word, value in options.items() if word != "kind"}
            region = Region.create(1, 1, 1, rates=bytes_for(SETS), quotas=bytes_for(SETS), inflight_blocks=1024)
            self.limiters[name] = KINDS[kind](region, **rest)
            region.close()

    def answer(self, step: dict[str, Any]) -> Answer:
        """What we say to a step; {} when it asks nothing."""
        op = step["op"]
        if op == "advance":
            self.now_ns += round(step["seconds"] * NS)
            return {}
        if op == "combine":
            return self.combine([(self.limiters[name], key) for name, key in step["use"]])
        limiter, key = self.limiters[step["limiter"]], step["key"]
        if op == "incoming":
            return dict(limiter.incoming(key, self.now_ns, commit=step["commit"]))
        if op == "leaving":
            return dict(limiter.leaving(key, step["latency"]))
        limiter.uncommit(key, self.now_ns)
        return {"ok": True}

    def combine(self, asked: list[tuple[Any, str]]) -> Answer:
        """Looks at all, then charges all, each key of a limiter as often as it is named; or charges none."""
        if any(not limiter.incoming(key, self.now_ns, commit=False)["ok"] for limiter, key in asked):
            return dict(REFUSED)
        answers = [limiter.incoming(key, self.now_ns, commit=True) for limiter, key in asked]
        return {
            "ok": True,
            "delay": max(one["delay"] for one in answers),
            "states": [one[limiter.state] for (limiter, _), one in zip(asked, answers, strict=True)],
        }
