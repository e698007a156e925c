"""Where the endpoints of an upstream are: fixed addresses, and names that DNS resolves and keeps up to date.

A name stands for all its addresses, one endpoint each. Look-ups run in the loop's resolver threads, never on the loop,
and at most one per name at a time, however long a resolver hangs. What was known stays in use when a look-up fails: a
name server that is away takes no upstream down. A name that never resolved leaves its upstream without endpoints, and
says why (``Upstream.absence``), instead of keeping the gateway from starting.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.config.values import Address, parse_address
from tidegate.errors import GatewayError, Kind
from tidegate.process import tasks
from tidegate.upstream.endpoint import Endpoint, Upstream
from tidegate.upstream.peer import Peer
from tidegate.upstream.tls import TlsSettings

if TYPE_CHECKING:
    import random

__all__ = ["Discovery", "NameStatistics", "Target", "peer_at", "prepare", "resolve_name", "targets_of"]

logger = logging.getLogger(__name__)

LOOK_UP_TIMEOUT_S = 5.0
FIRST_RETRY_S = 1.0
JITTER = 0.1

Resolve = Callable[[str], Awaitable[Sequence[str]]]
MakeEndpoint = Callable[[Peer, float], Endpoint]


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint of the configuration: an address or a name, and the weight of each address behind it."""

    address: Address
    weight: float

    @property
    def is_name(self) -> bool:
        """Whether it has to be resolved."""
        return not self.address.is_unix and self.address.ip is None


@dataclass(frozen=True, slots=True)
class NameStatistics:
    """What discovery knows of one name."""

    name: str
    addresses: tuple[str, ...]
    look_ups: int
    failures: int
    error: str | None


@dataclass(slots=True)
class _Name:
    """A name, the addresses it last resolved to, and the look-up that is under way."""

    host: str
    addresses: tuple[str, ...] = ()
    error: GatewayError | None = None
    look_ups: int = 0
    failures: int = 0
    under_way: "asyncio.Task[tuple[str, ...] | GatewayError] | None" = field(default=None, repr=False)


async def resolve_name(host: str) -> Sequence[str]:
    """The addresses of ``host``, IPv4 and IPv6, by the system's resolver in a thread. OSError when there is none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    addresses: dict[str, None] = {}
    for family, _, _, _, sockaddr in found:
        address = str(sockaddr[0])
        if family == socket.AF_INET6 and len(sockaddr) == 4 and sockaddr[3] and "%" not in address:
            address = f"{address}%{sockaddr[3]}"
        addresses[address] = None
    return list(addresses)


def targets_of(settings: UpstreamSettings) -> tuple[Target, ...]:
    """The endpoints of the configuration; ValueError for an address that is none."""
    return tuple(Target(parse_address(entry.address), float(entry.weight)) for entry in settings.endpoints)


def peer_at(target: Target, address: str | None, settings: UpstreamSettings) -> Peer:
    """The peer for one address of a target; ``address`` is None when the target is no name.

    Raises ValueError when it cannot be dialled, as an IPv6 address from an IPv4 source.
    """
    where = target.address
    host = str(where) if where.is_unix else where.host
    # A unix socket has no name to prove; unless one is configured, its server answers for "localhost".
    tls_name = "localhost" if where.is_unix else host
    return Peer(
        host,
        where.port,
        address,
        tls=None if settings.tls is None else TlsSettings.of(settings.tls, tls_name),
        source_address="" if where.is_unix else settings.source_address or "",
    )


class Discovery:
    """Keeps the endpoints of one upstream up to date.

    Args:
        upstream: Whose ``endpoints`` are replaced, in one assignment, when something has changed.
        settings: The upstream's part of the configuration.
        make_endpoint: Makes an endpoint, its pool claimed, for a peer that was not there before.
        resolve: From a name to its addresses; raises OSError.
        seed: For the jitter, so that workers and gateways do not ask all at once.
        before: That of the same upstream in the snapshot before: what it knows of a name need not be asked for again.
    """

    def __init__(
        self,
        upstream: Upstream,
        settings: UpstreamSettings,
        make_endpoint: MakeEndpoint,
        *,
        resolve: Resolve = resolve_name,
        seed: int = 0,
        before: "Discovery | None" = None,
    ) -> None:
        self.upstream = upstream
        self.settings = settings
        self.targets = targets_of(settings)
        self._make_endpoint = make_endpoint
        self._resolve = resolve
        self._seed = seed
        self._chance: random.Random | None = None
        self._names = {t.address.host: _Name(t.address.host) for t in self.targets if t.is_name}
        self._refreshing: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._failed_rounds = 0
        self.asked_s: float | None = None
        if before is not None:
            self._take_over(before)
        self._apply()

    @property
    def has_names(self) -> bool:
        """Whether there is anything to keep up to date."""
        return bool(self._names)

    # -- what it does --------------------------------------------------------------------------------------------------

    async def prepare(self, within_s: float = LOOK_UP_TIMEOUT_S) -> None:
        """Resolves every name that is not known yet, and keeps them up to date from then on.

        Args:
            within_s: What is not resolved by then comes later; the upstream starts with what is known.
        """
        if self.asked_s is None:
            await self.refresh(within_s)
        if self.has_names and self._refreshing is None and not self._is_stopped:
            self._refreshing = tasks.start(self._keep_refreshing(), f"resolve {self.upstream.name}")

    async def refresh(self, within_s: float = LOOK_UP_TIMEOUT_S) -> bool:
        """Asks for every name once; False when one of them could not be resolved. Raises nothing."""
        names = list(self._names.values())
        if not names:
            return True
        for name in names:
            if name.under_way is None:
                name.look_ups += 1
                name.under_way = tasks.start(self._look_up(name.host), f"look up {name.host}")
        await asyncio.wait({name.under_way for name in names if name.under_way is not None}, timeout=within_s)
        good = [self._take_answer(name, within_s) for name in names]
        self.asked_s = asyncio.get_running_loop().time()
        if not self._is_stopped:
            self._apply()
        return all(good)

    def stop(self) -> None:
        """Ends the refreshing. Endpoints stay as they are: they belong to the upstream."""
        self._is_stopped = True
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None
        for name in self._names.values():
            if name.under_way is not None:
                name.under_way.cancel()
                name.under_way = None

    def statistics(self) -> tuple[NameStatistics, ...]:
        """What is known of each name."""
        return tuple(
            NameStatistics(n.host, n.addresses, n.look_ups, n.failures, None if n.error is None else str(n.error))
            for n in self._names.values()
        )

    def __repr__(self) -> str:
        known = sum(bool(name.addresses) for name in self._names.values())
        return f"<Discovery {self.upstream.name} names {known}/{len(self._names)}, failed rounds {self._failed_rounds}>"

    # -- how -----------------------------------------------------------------------------------------------------------

    def _take_over(self, before: "Discovery") -> None:
        known = {one.name: one.addresses for one in before.statistics()}
        for name in self._names.values():
            name.addresses = known.get(name.host, ())
        if all(name.addresses for name in self._names.values()):
            self.asked_s = before.asked_s

    async def _keep_refreshing(self) -> None:
        while True:
            now_s = asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, (self.asked_s or now_s) + self._pause_s() - now_s))
            self._failed_rounds = 0 if await self.refresh() else self._failed_rounds + 1

    def _pause_s(self) -> float:
        """Time to the next round; while something fails, soon, and then twice as long each time."""
        pause_s = self.settings.dns.refresh
        if self._failed_rounds or any(name.error is not None for name in self._names.values()):
            pause_s = min(pause_s, FIRST_RETRY_S * 2 ** min(self._failed_rounds, 16))
        if self._chance is None:
            import random  # only a worker that looks up names has the memory for it

            self._chance = random.Random(self._seed)
        return pause_s * self._chance.uniform(1 - JITTER, 1 + JITTER)

    async def _look_up(self, host: str) -> tuple[str, ...] | GatewayError:
        try:
            addresses = await self._resolve(host)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return GatewayError(Kind.DNS_ERROR, f"{host}: {reason}", status=503, cause=error)
        if not addresses:
            return GatewayError(Kind.DNS_ERROR, f"{host}: no address", status=503)
        # Resolvers rotate their answers; the order of endpoints should not.
        return tuple(sorted(set(addresses)))

    def _take_answer(self, name: _Name, within_s: float) -> bool:
        if name.under_way is None:
            return False
        if not name.under_way.done():
            # It stays under way: a second one would hang beside it and fill the resolver's few threads.
            answer: tuple[str, ...] | GatewayError = GatewayError(
                Kind.DNS_TIMEOUT, f"{name.host}: no answer within {within_s:g} s", status=503
            )
        else:
            answer = name.under_way.result()
            name.under_way = None
        if not isinstance(answer, GatewayError):
            name.addresses = answer
            name.error = None
            return True
        if name.error is None:
            logger.warning(
                "upstream %s: %s; %s",
                self.upstream.name,
                answer.detail,
                f"staying with {', '.join(name.addresses)}" if name.addresses else "it has no address yet",
                extra={"kind": str(answer.kind)},
            )
        name.failures += 1
        name.error = answer
        return False

    def _apply(self) -> None:
        wanted: dict[Peer, float] = {}
        unusable: GatewayError | None = None
        for target in self.targets:
            addresses: Iterable[str | None] = self._names[target.address.host].addresses if target.is_name else (None,)
            for address in addresses:
                try:
                    peer = peer_at(target, address, self.settings)
                except ValueError as error:
                    unusable = GatewayError(Kind.DESTINATION_IP_UNROUTABLE, str(error), status=503, cause=error)
                    continue
                # Two names for one address, or an address given twice: one endpoint with the weight of both.
                wanted[peer] = wanted.get(peer, 0.0) + target.weight
        before = {endpoint.peer: endpoint for endpoint in self.upstream.endpoints}
        after = [
            known
            if (known := before.get(peer)) is not None and known.weight == weight
            else self._make_endpoint(peer, weight)
            for peer, weight in wanted.items()
        ]
        if after != self.upstream.endpoints:
            self._tell(before.keys(), wanted.keys())
            self.upstream.replace_endpoints(after)
        self.upstream.absence = None if after else self._why_absent(unusable)

    def _why_absent(self, unusable: GatewayError | None) -> GatewayError:
        errors = [name.error for name in self._names.values() if name.error is not None]
        if errors:
            return errors[0]
        return unusable or GatewayError(Kind.DNS_ERROR, f"{', '.join(self._names)}: not resolved yet", status=503)

    def _tell(self, before: Iterable[Peer], after: Iterable[Peer]) -> None:
        was, now = {peer.label for peer in before}, {peer.label for peer in after}
        if was:
            logger.info(
                "upstream %s: new endpoints %s; gone %s",
                self.upstream.name,
                ", ".join(sorted(now - was)) or "none",
                ", ".join(sorted(was - now)) or "none",
                extra={"kind": "endpoints_changed"},
            )


async def prepare(upstreams: Iterable[Upstream], within_s: float = LOOK_UP_TIMEOUT_S) -> None:
    """Resolves the names of all ``upstreams`` at once, as part of preparing a snapshot, and keeps them up to date."""
    found = [upstream.discovery for upstream in upstreams if upstream.discovery is not None]
    await asyncio.gather(*(discovery.prepare(within_s) for discovery in found))
