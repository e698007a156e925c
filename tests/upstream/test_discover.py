"""Names that resolve, change, fail and hang; a resolver is played where a fault is needed, else it is the system's."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
import uvloop

from tidegate.config.upstreams import DNS, UpstreamTLS
from tidegate.config.upstreams import Endpoint as EndpointSettings
from tidegate.config.upstreams import Upstream as UpstreamSettings
from tidegate.errors import Kind
from tidegate.upstream import probe
from tidegate.upstream.build import build_upstream
from tidegate.upstream.discover import Discovery, prepare, resolve_name
from tidegate.upstream.endpoint import Upstream
from tidegate.upstream.pools import Pools

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def until(is_so: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


class Names:
    """A name server: ``answers`` maps a name to addresses, to what to raise, or to an event to wait for."""

    def __init__(self, **answers: Sequence[str] | Exception) -> None:
        self.answers: dict[str, Sequence[str] | Exception] = dict(answers)
        self.hanging: asyncio.Event | None = None
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if self.hanging is not None:
            await self.hanging.wait()
        answer = self.answers.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(answer, Exception):
            raise answer
        return answer


def settings(*addresses: str | tuple[str, int], **rest: Any) -> UpstreamSettings:
    entries = [(a, 1) if isinstance(a, str) else a for a in addresses]
    return UpstreamSettings(
        endpoints=tuple(EndpointSettings(address=address, weight=weight) for address, weight in entries),
        dns=DNS(refresh=rest.pop("refresh", 0.1)),
        **rest,
    )


def labels(upstream: Upstream) -> list[str]:
    return [endpoint.peer.label for endpoint in upstream.endpoints]


def discovery_of(upstream: Upstream) -> Discovery:
    assert upstream.discovery is not None
    return upstream.discovery


async def prepared(pools: Pools, names: Callable[[str], Awaitable[Sequence[str]]], what: UpstreamSettings) -> Upstream:
    upstream = build_upstream("orders", what, pools, resolve=names)
    await prepare([upstream], 1.0)
    return upstream


def test_name_stands_for_all_its_addresses_beside_fixed_ones() -> None:
    async def scenario() -> None:
        pools = Pools()
        names = Names(orders=["10.0.0.6", "10.0.0.5", "fd00::5"])
        upstream = await prepared(pools, names, settings("10.0.0.9:80", ("orders:9001", 3), "unix:/run/o.sock"))
        assert labels(upstream) == [
            "10.0.0.9:80", "10.0.0.5:9001", "10.0.0.6:9001", "[fd00::5]:9001", "unix:/run/o.sock",
        ]  # fmt: skip
        assert [endpoint.weight for endpoint in upstream.endpoints] == [1, 3, 3, 3, 1]
        assert [endpoint.peer.host for endpoint in upstream.endpoints][1] == "orders"
        assert upstream.absence is None
        upstream.close()
        assert len(pools) == 0

    run(scenario())


def test_fixed_endpoints_need_no_resolving() -> None:
    pools = Pools()
    upstream = build_upstream("orders", settings("10.0.0.9:80", "[::1]:81"), pools)
    assert labels(upstream) == ["10.0.0.9:80", "[::1]:81"]
    assert upstream.discovery is None


def test_system_resolver_is_asked_off_the_loop() -> None:
    async def scenario() -> None:
        upstream = await prepared(Pools(), resolve_name, settings("localhost:9001"))
        assert set(labels(upstream)) & {"127.0.0.1:9001", "[::1]:9001"}
        upstream.close()
        with pytest.raises(socket.gaierror):
            await resolve_name("no-such-host.invalid")

    run(scenario())


def test_changed_answer_keeps_endpoints_that_stay_with_all_that_is_known_of_them() -> None:
    async def scenario() -> None:
        pools = Pools()
        names = Names(orders=["10.0.0.5", "10.0.0.6"])
        upstream = await prepared(pools, names, settings("orders:9001"))
        gone, stays = upstream.endpoints
        probe.started(stays)
        probe.ended(stays, 7_000_000, 1)
        names.answers["orders"] = ["10.0.0.7", "10.0.0.6"]
        await until(lambda: labels(upstream) == ["10.0.0.6:9001", "10.0.0.7:9001"])
        assert upstream.endpoints[0] is stays
        assert stays.statistics().ewma_ms == 7
        assert gone.pool.is_retired and not gone.is_available
        assert len(pools) == 2
        upstream.close()

    run(scenario())


def test_rotated_answer_changes_nothing() -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5", "10.0.0.6"])
        upstream = await prepared(Pools(), names, settings("orders:9001"))
        before = upstream.endpoints
        names.answers["orders"] = ["10.0.0.6", "10.0.0.5"]
        asked = len(names.asked)
        await until(lambda: len(names.asked) >= asked + 2)
        assert upstream.endpoints is before
        upstream.close()

    run(scenario())


@pytest.mark.parametrize(
    "failure",
    [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), [], UnicodeError("label too long")],
    ids=["no answer", "no address", "no name"],
)
def test_last_good_answer_stays_when_a_look_up_fails(
    failure: Sequence[str] | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5"])
        upstream = await prepared(Pools(), names, settings("orders:9001"))
        before = upstream.endpoints
        names.answers["orders"] = failure
        discovery = discovery_of(upstream)
        await until(lambda: discovery.statistics()[0].failures >= 2)
        assert upstream.endpoints is before and upstream.absence is None
        (known,) = discovery.statistics()
        assert known.addresses == ("10.0.0.5",)
        assert known.error is not None and known.error.startswith("dns_error: orders: ")
        names.answers["orders"] = ["10.0.0.6"]
        await until(lambda: labels(upstream) == ["10.0.0.6:9001"])
        assert discovery.statistics()[0].error is None
        upstream.close()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert caplog.text.count("staying with 10.0.0.5") == 1, "said once, not at every round"


def test_name_that_resolves_to_nothing_leaves_an_upstream_that_says_why() -> None:
    async def scenario() -> None:
        names = Names()
        upstream = build_upstream("orders", settings("orders:9001"), Pools(), resolve=names)
        assert upstream.absence is not None and "not resolved yet" in upstream.absence.detail
        await prepare([upstream], 1.0)
        assert probe.pick(upstream) is None
        assert upstream.absence.kind is Kind.DNS_ERROR
        assert upstream.absence.status == 503
        assert "Name or service not known" in upstream.absence.detail
        assert repr(upstream).startswith("<P2C orders endpoints 0/0, inflight 0, dns_error: orders: ")
        names.answers["orders"] = ["10.0.0.5"]
        await until(lambda: labels(upstream) == ["10.0.0.5:9001"])
        assert upstream.absence is None
        upstream.close()

    run(scenario())


def test_resolver_that_hangs_delays_the_start_by_its_deadline_only_and_is_asked_once() -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5"])
        names.hanging = asyncio.Event()
        upstream = build_upstream("orders", settings("orders:9001"), Pools(), resolve=names)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await prepare([upstream], 0.05)
        assert loop.time() - began < 1.0
        assert upstream.absence is not None and upstream.absence.kind is Kind.DNS_TIMEOUT
        assert await discovery_of(upstream).refresh(0.05) is False
        assert names.asked == ["orders"], "a second look-up would hang beside the first"
        names.hanging.set()
        await until(lambda: labels(upstream) == ["10.0.0.5:9001"])
        upstream.close()

    run(scenario())


def test_slow_name_does_not_hold_up_the_others() -> None:
    async def scenario() -> None:
        fast, slow = Names(orders=["10.0.0.5"]), Names(billing=["10.0.0.6"])
        slow.hanging = asyncio.Event()
        pools = Pools()
        upstreams = [
            build_upstream("orders", settings("orders:9001"), pools, resolve=fast),
            build_upstream("billing", settings("billing:9001"), pools, resolve=slow),
        ]
        await prepare(upstreams, 0.05)
        assert [labels(upstream) for upstream in upstreams] == [["10.0.0.5:9001"], []]
        for upstream in upstreams:
            upstream.close()

    run(scenario())


def test_closed_upstream_asks_nobody_any_more() -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5"])
        pools = Pools()
        upstream = await prepared(pools, names, settings("orders:9001"))
        upstream.close()
        upstream.close()
        assert upstream.discovery is None and len(pools) == 0
        await until(lambda: len(asyncio.all_tasks()) == 1)

    run(scenario())


def test_answer_that_comes_after_the_close_claims_nothing() -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5"])
        names.hanging = asyncio.Event()
        pools = Pools()
        upstream = build_upstream("orders", settings("orders:9001"), pools, resolve=names)
        asking = asyncio.gather(prepare([upstream], 5.0))
        await until(lambda: names.asked == ["orders"])
        upstream.close()
        names.hanging.set()
        await asking
        assert upstream.endpoints == [] and len(pools) == 0
        await until(lambda: len(asyncio.all_tasks()) == 1)

    run(scenario())


def test_address_given_twice_is_one_endpoint_with_the_weight_of_both() -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5"])
        upstream = await prepared(Pools(), names, settings(("orders:9001", 2), ("orders:9001", 3)))
        assert [(e.peer.label, e.weight) for e in upstream.endpoints] == [("10.0.0.5:9001", 5)]
        upstream.close()

    run(scenario())


def test_address_of_the_other_family_than_the_source_is_left_out() -> None:
    async def scenario() -> None:
        names = Names(orders=["10.0.0.5", "fd00::5"], six=["fd00::6"])
        upstream = await prepared(Pools(), names, settings("orders:9001", source_address="10.9.9.9"))
        assert labels(upstream) == ["10.0.0.5:9001"]
        assert upstream.endpoints[0].peer.source_address == "10.9.9.9"
        upstream.close()
        none = await prepared(Pools(), names, settings("six:9001", source_address="10.9.9.9"))
        assert none.endpoints == []
        assert none.absence is not None and none.absence.kind is Kind.DESTINATION_IP_UNROUTABLE
        none.close()

    run(scenario())


def test_certificate_is_expected_for_the_name_and_not_for_the_address() -> None:
    async def scenario() -> None:
        names = Names(**{"orders.internal": ["10.0.0.5"]})
        upstream = await prepared(Pools(), names, settings("orders.internal:443", tls=UpstreamTLS(verify=False)))
        (endpoint,) = upstream.endpoints
        assert endpoint.peer.scheme == "https"
        assert endpoint.peer.tls is not None and endpoint.peer.tls.name == "orders.internal"
        upstream.close()

    run(scenario())


def test_rounds_come_soon_while_something_fails_and_then_at_their_pace() -> None:
    async def scenario() -> None:
        names = Names()
        upstream = build_upstream("orders", settings("orders:9001", refresh=300.0), Pools(), resolve=names)
        discovery = discovery_of(upstream)
        await discovery.refresh()
        assert 0.9 <= discovery._pause_s() <= 1.1
        discovery._failed_rounds = 3
        assert 7.2 <= discovery._pause_s() <= 8.8
        discovery._failed_rounds = 1000
        assert 270 <= discovery._pause_s() <= 330
        names.answers["orders"] = ["10.0.0.5"]
        await discovery.refresh()
        discovery._failed_rounds = 0
        pauses = {discovery._pause_s() for _ in range(100)}
        assert 270 <= min(pauses) < 290
        assert 310 < max(pauses) <= 330
        upstream.close()

    run(scenario())
