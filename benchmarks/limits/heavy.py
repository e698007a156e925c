"""What light requests feel of heavy ones, when each counts as one and when each counts as the time it takes.

A backend with fourteen servers; one tenant sends 1,000 requests a second of 5 ms (five servers' work), another 300 a
minute of 2 s (ten servers' work). By count each may have 1,200 requests a second, which the heavy ones never come near.
By time the first has eight servers and the second six. In virtual time, with the limit that the gateway uses, from the
tenth second on: until a worker has seen the first requests of a route end, it does not know what they take.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from tidegate.config.allotment import allot, room_of
from tidegate.config.limits import Allowance
from tidegate.config.limits import Limit as Settings
from tidegate.lab.sim.clock import SECOND_NS, Clock
from tidegate.limits.group import Group
from tidegate.limits.limit import Limit
from tidegate.memory.region import Region

SERVERS = 14
MEMORY = 1 << 20
HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
BY_COUNT = Settings(rate="1200/s", burst=1200, key=("auth.tenant",), keys=64)
BY_TIME = Settings(
    rate="8/s",
    burst=7,
    key=("auth.tenant",),
    keys=64,
    cost="upstream.seconds",
    overrides={"heavy": Allowance(rate="6/s", burst=1)},
)
BEGINS_S = 10


@dataclass
class Tenant:
    """Requests at a rate, each keeping a server busy for so long, and what became of them."""

    name: bytes
    per_s: float
    takes_ms: float
    sent: int = 0
    refused: int = 0
    waits_ms: list[float] = field(default_factory=list)

    @property
    def served_share(self) -> float:
        """Of what it sent."""
        return 1 - self.refused / self.sent

    def wait_ms(self, share: float) -> float:
        """What ``share`` of those that were served waited for a server at most."""
        return sorted(self.waits_ms)[int(share * (len(self.waits_ms) - 1))]


class Servers:
    """Servers behind one queue, first come first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free = SERVERS
        self._waiting: deque[tuple[int, int, Callable[[int], None]]] = deque()

    def ask(self, takes_ns: int, done: Callable[[int], None]) -> None:
        """One request that keeps a server busy for so long; ``done`` is called with what it waited for one."""
        self._waiting.append((self._clock.now_ns, takes_ns, done))
        self._begin()

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            asked_ns, takes_ns, done = self._waiting.popleft()
            self._clock.after(takes_ns, self._end, self._clock.now_ns - asked_ns, done)

    def _end(self, waited_ns: int, done: Callable[[int], None]) -> None:
        self._free += 1
        done(waited_ns)
        self._begin()


class _Stream:
    """A tenant's requests as a Poisson process, whoever is refused."""

    def __init__(
        self, tenant: Tenant, group: Group, clock: Clock, servers: Servers, *, chance: random.Random, until_ns: int
    ) -> None:
        self._tenant, self._group, self._clock, self._servers = tenant, group, clock, servers
        self._chance, self._until_ns = chance, until_ns

    def come(self) -> None:
        """The next one comes."""
        self._clock.after(int(self._chance.expovariate(self._tenant.per_s) * SECOND_NS), self._arrive)

    def _arrive(self) -> None:
        began_ns = self._clock.now_ns
        is_counted = began_ns > BEGINS_S * SECOND_NS
        self._tenant.sent += is_counted
        _, _, ticket = self._group.begin(HEAD, began_ns, tenant=self._tenant.name)
        if ticket is None:
            self._tenant.refused += is_counted
        else:
            self._servers.ask(
                int(self._tenant.takes_ms * 1e6), lambda waited_ns: self._answered(ticket, began_ns, waited_ns)
            )
        if self._clock.now_ns < self._until_ns:
            self.come()

    def _answered(self, ticket: bytearray, began_ns: int, waited_ns: int) -> None:
        now_ns = self._clock.now_ns
        self._group.end(ticket, now_ns, upstream_ns=now_ns - began_ns)
        if began_ns > BEGINS_S * SECOND_NS:
            self._tenant.waits_ms.append(waited_ns / 1e6)


def play(settings: Settings, seconds: int, seed: int = 1) -> tuple[Tenant, Tenant]:
    """The light tenant and the heavy one after so long, with that limit on both."""
    light, heavy = Tenant(b"light", 1000, 5), Tenant(b"heavy", 5, 2000)
    region = Region.create(1, **room_of(MEMORY))
    places, _ = allot({}, {"contract": settings}, MEMORY)
    limit = Limit("contract", settings, places["contract"], region.mapping, region.secret)
    # The route is one; a mean for each tenant is what two routes would have.
    groups = {tenant.name: Group((limit,)) for tenant in (light, heavy)}
    clock = Clock()
    clock.now_ns = SECOND_NS
    servers = Servers(clock)
    for number, tenant in enumerate((light, heavy)):
        chance = random.Random(f"{seed} {number}")
        until_ns = (1 + seconds) * SECOND_NS
        _Stream(tenant, groups[tenant.name], clock, servers, chance=chance, until_ns=until_ns).come()
    clock.run((1 + seconds) * SECOND_NS)
    region.close()
    return light, heavy


def heavy_and_light(seconds: int = 60) -> int:
    """Both, side by side."""
    rows, played = [], {}
    for name, settings in (("each counts as one", BY_COUNT), ("by the time it takes", BY_TIME)):
        light, heavy = played[name] = play(settings, seconds)
        rows.append(
            {
                "a minute of both": name,
                "light served": f"{light.served_share:.2%}",
                "light waits, p50": f"{light.wait_ms(0.5):,.1f} ms",
                "p99": f"{light.wait_ms(0.99):,.1f} ms",
                "heavy served": f"{heavy.served_share:.1%}",
            }
        )
    print(table.render(rows), end="\n\n")
    light, heavy = played["by the time it takes"]
    return exit_code(
        [
            at_least("light requests served, by time", light.served_share, 1.0),
            at_most("p99 of what light ones wait, ms, by time", light.wait_ms(0.99), 5.0),
            at_least("p50 of what light ones wait, ms, when each counts as one", _harm(played), 500.0),
            at_least("heavy requests served, by time", heavy.served_share, 1 / 3),
        ]
    )


def _harm(played: dict[str, tuple[Tenant, Tenant]]) -> float:
    return played["each counts as one"][0].wait_ms(0.5)
