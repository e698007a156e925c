"""Limits of endpoints: a full one is skipped, and nobody is charged for nothing."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.test_limits import OK, SERVER, leave, queued, verdicts

pytestmark = pytest.mark.sanitize

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


@contextmanager
def group(
    count: int, limits: str, *, upstream: str = 'limits = ["each"]', route: str = ""
) -> Iterator[tuple[Plane, list[Upstream]]]:
    """A gateway in front of so many endpoints that the test plays."""
    with ExitStack() as opened:
        endpoints = [opened.enter_context(Upstream()) for _ in range(count)]
        listed = ", ".join(f'"{one.address}"' for one in endpoints)
        text = (
            f"{limits}\n[upstreams.u]\nendpoints = [{listed}]\n{upstream}\n"
            f'[[routes]]\nname = "all"\nupstream = "u"\n{route}\n'
        )
        yield opened.enter_context(Plane(text, server=SERVER)), endpoints


class Held:
    """Requests that are under way: who got them, in order, client and server end."""

    def __init__(self, plane: Plane, endpoints: list[Upstream], opened: ExitStack) -> None:
        self.plane, self.endpoints, self.opened = plane, endpoints, opened
        self.pairs: list[tuple[Peer, Peer]] = []
        for one in endpoints:
            one.listening.setblocking(False)

    def ask(self) -> int:
        """The number of the endpoint that gets one more."""
        client = self.opened.enter_context(self.plane.connect())
        client.send(GET)
        at, server = until(self._accepted, "an endpoint has it")
        server.request()
        self.pairs.append((client, server))
        return int(at)

    def _accepted(self) -> tuple[int, Peer] | None:
        for at, one in enumerate(self.endpoints):
            try:
                sock = one.listening.accept()[0]
            except BlockingIOError:
                continue
            sock.setblocking(True)
            return at, self.opened.enter_context(Peer(sock))
        return None

    def answer(self, number: int, text: bytes = OK) -> int:
        client, server = self.pairs[number]
        server.send(text)
        return client.answer().status


@contextmanager
def holding(plane: Plane, endpoints: list[Upstream]) -> Iterator[Held]:
    with ExitStack() as opened:
        yield Held(plane, endpoints, opened)


ONE_EACH = '[limits.each]\nconcurrency = 1\nkey = "endpoint"\n'


@pytest.mark.parametrize("balance", ["p2c", "round_robin", "least_request", "random", "consistent_hash"])
def test_full_endpoint_is_skipped_and_when_all_are_it_is_refused(balance: str) -> None:
    upstream = f'limits = ["each"]\nbalance = "{balance}"'
    with group(4, ONE_EACH, upstream=upstream) as (plane, endpoints), holding(plane, endpoints) as held:
        assert sorted(held.ask() for _ in range(4)) == [0, 1, 2, 3]
        refused = plane.get()
        assert (refused.status, refused.get("Tidegate-Limit")) == (503, "each")
        assert held.answer(2) == 200
        with plane.connect() as client:
            client.send(GET)
            held.pairs[2][1].request()  # over the connection that was kept, to the one that has room
            held.pairs[2][1].send(OK)
            assert client.answer().status == 200
        assert verdicts(plane, "each") == {"admitted": 5, "refused": 1}


def test_sticky_client_goes_elsewhere_while_its_endpoint_is_full() -> None:
    upstream = 'limits = ["each"]\nsticky = { cookie = "where" }'
    with group(2, ONE_EACH, upstream=upstream) as (plane, endpoints), holding(plane, endpoints) as held:
        first = held.ask()
        held.pairs[0][1].send(OK)
        cookie = (held.pairs[0][0].answer().get("Set-Cookie") or "").split(";")[0]
        client = held.opened.enter_context(plane.connect())
        client.send(GET[:-2] + f"Cookie: {cookie}\r\n\r\n".encode())
        held.pairs[0][1].request()
        second = held.opened.enter_context(plane.connect())
        second.send(GET[:-2] + f"Cookie: {cookie}\r\n\r\n".encode())
        at, server = until(held._accepted, "the other has it")
        assert at != first
        server.request()
        for one, end in ((client, held.pairs[0][1]), (second, server)):
            end.send(OK)
            assert one.answer().status == 200


def test_each_endpoint_has_a_rate_of_its_own() -> None:
    limit = '[limits.each]\nrate = "1/d"\nburst = 1\nkey = "endpoint"\n'
    with group(3, limit) as (plane, endpoints), holding(plane, endpoints) as held:
        got = [held.ask() for _ in range(6)]
        assert sorted(got) == [0, 0, 1, 1, 2, 2]
        refused = plane.get()
        assert (refused.status, refused.get("Tidegate-Limit")) == (429, "each")
        assert int(refused.get("Retry-After") or 0) > 3600


def test_key_may_be_more_than_the_endpoint() -> None:
    limit = '[limits.each]\nrate = "1/d"\nkey = ["endpoint", "header:X-User"]\n'
    with group(1, limit) as (plane, endpoints):
        for user in ("ann", "bob"):
            with plane.connect() as client:
                client.send(GET[:-2] + f"X-User: {user}\r\n\r\n".encode())
                with endpoints[0].accept() as server:
                    server.request()
                    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    assert client.answer().status == 200
        assert plane.get(headers="X-User: ann\r\n").status == 429


def test_overrides_are_for_addresses() -> None:
    with ExitStack() as opened:
        ends = [opened.enter_context(Upstream()) for _ in range(2)]
        text = (
            '[limits.each]\nconcurrency = 1\nkey = "endpoint"\n'
            f'overrides."{ends[1].address}" = {{ concurrency = 3 }}\n'
            f'[upstreams.u]\nendpoints = ["{ends[0].address}", "{ends[1].address}"]\n'
            '[[routes]]\nname = "all"\nupstream = "u"\nlimits = ["each"]\n'
        )
        plane = opened.enter_context(Plane(text, server=SERVER))
        held = opened.enter_context(holding(plane, ends))
        assert sorted(held.ask() for _ in range(4)) == [0, 1, 1, 1]
        assert plane.get().status == 503


def test_refusal_of_all_endpoints_is_charged_nowhere() -> None:
    limits = ONE_EACH + '[limits.day]\nrate = "1/d"\nburst = 2\nkey = "upstream"\n'
    with (
        group(1, limits, route='limits = ["day"]') as (plane, endpoints),
        holding(plane, endpoints) as held,
    ):
        held.ask()
        assert [plane.get().get("Tidegate-Limit") for _ in range(3)] == ["each"] * 3
        held.answer(0)
        for _ in range(2):
            with plane.connect() as client:
                client.send(GET)
                held.pairs[0][1].request()
                held.pairs[0][1].send(OK)
                assert client.answer().status == 200
        assert plane.get().get("Tidegate-Limit") == "day"


def test_endpoint_that_has_no_room_is_not_waited_for_where_another_has() -> None:
    limit = '[limits.each]\nrate = "1/d"\nburst = 1\nexcess = "delay"\nkey = "endpoint"\n'
    with group(3, limit, route='timeout = "40h"') as (plane, endpoints), holding(plane, endpoints) as held:
        assert sorted(held.ask() for _ in range(3)) == [0, 1, 2]
        assert verdicts(plane, "each") == {"admitted": 3}


def test_turns_are_given_out_at_the_endpoint_with_the_soonest_one() -> None:
    """Thirty at once at three endpoints of 10/s: none sees two of them before their time."""
    limit = '[limits.each]\nrate = "10/s"\nburst = 9\nexcess = "delay"\nkey = "endpoint"\n'
    with group(3, limit) as (plane, endpoints), ExitStack() as opened:
        seen: list[list[float]] = [[], [], []]
        for one in endpoints:
            one.listening.setblocking(False)
        began_s = time.monotonic()
        clients = []
        for _ in range(30):
            client = opened.enter_context(plane.connect())
            client.send(GET)
            clients.append(client)

        def arrived() -> bool:
            for at, one in enumerate(endpoints):
                try:
                    sock = one.listening.accept()[0]
                except BlockingIOError:
                    continue
                seen[at].append(time.monotonic() - began_s)
                server = opened.enter_context(Peer(sock))
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return sum(map(len, seen)) == 30

        until(arrived, "all have come")
        assert {client.answer().status for client in clients} == {200}
        for times in seen:
            # The first came after ``began_s``, and each of the others so much later at least: a machine that is slow
            # makes it later still.
            assert all(at_s >= 0.1 * number - 0.002 for number, at_s in enumerate(times))
        found = verdicts(plane, "each")
        assert found["admitted"] + found["delayed"] == 30


def test_client_that_leaves_before_its_turn_gives_it_back_there_and_to_the_contract() -> None:
    limits = (
        '[limits.each]\nrate = "1/h"\nburst = 1\nexcess = "delay"\nkey = "endpoint"\n'
        '[limits.day]\nrate = "1/d"\nburst = 1\nkey = "upstream"\n'
    )
    with (
        group(1, limits, route='limits = ["day"]\ntimeout = "6h"') as (plane, endpoints),
        holding(plane, endpoints) as held,
    ):
        held.ask()
        for _ in range(3):
            with plane.connect() as waiting:
                waiting.send(GET)
                until(lambda: plane.statistics().exchanges == 2, "it waits")
                assert plane.get().get("Tidegate-Limit") in ("day", "each")
                leave(waiting)
            until(lambda: plane.statistics().exchanges == 1, "it has left")
        assert verdicts(plane, "each")["delayed"] == 3


def test_turn_beyond_the_deadline_is_refused_at_once() -> None:
    limit = '[limits.each]\nrate = "1/h"\nburst = 1\nexcess = "delay"\nkey = "endpoint"\n'
    with group(1, limit, route='timeout = "30m"') as (plane, endpoints), holding(plane, endpoints) as held:
        held.ask()
        refused = plane.get()
        assert (refused.status, refused.get("Tidegate-Limit")) == (429, "each")


QUEUE = '[limits.each]\nconcurrency = 1\nqueue = 2\nqueue_timeout = "60s"\nkey = "endpoint"\n'


def test_who_finds_all_full_waits_in_the_queue_and_holds_nothing_meanwhile() -> None:
    limits = QUEUE + "[limits.all]\nconcurrency = 2\n"
    with group(1, limits, route='limits = ["all"]') as (plane, endpoints), holding(plane, endpoints) as held:
        held.ask()
        server = held.pairs[0][1]
        with queued(plane, 2) as waiting:
            assert plane.get().get("Tidegate-Limit") == "each"
            server.send(OK)
            for client in waiting:
                server.request()
                server.send(OK)
                assert client.answer().status == 200
        until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert verdicts(plane, "each")["refused"] == 1


@pytest.mark.parametrize("how", ["client", "timeout"])
def test_who_leaves_the_queue_of_an_endpoint_leaves_his_place(how: str) -> None:
    limits = QUEUE + '[limits.day]\nrate = "1/d"\nburst = 5\nkey = "upstream"\n'
    route = 'limits = ["day"]' + ('\ntimeout = "300ms"' if how == "timeout" else "")
    with group(1, limits, route=route) as (plane, endpoints):
        for _ in range(2):
            with ExitStack() as opened, queued(plane, 0):
                client = opened.enter_context(plane.connect())
                client.send(GET)
                server = opened.enter_context(endpoints[0].accept())
                server.request()
                with queued(plane, 2) as waiting:
                    if how == "client":
                        for one in waiting:
                            leave(one)
                        until(lambda: plane.statistics().exchanges == 1, "they have left")
                        server.send(OK)
                        assert client.answer().status == 200
                    else:
                        assert client.answer().status == 504
                        assert {one.answer().get("Tidegate-Limit") for one in waiting} == {"each"}
                until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert verdicts(plane, "day")["admitted"] == 6 if how == "client" else True


def test_who_finds_the_contract_full_when_his_endpoint_is_free_waits_for_that_and_leaves_the_endpoint() -> None:
    limits = QUEUE + '[limits.all]\nconcurrency = 2\nqueue = 5\nqueue_timeout = "60s"\n'
    with ExitStack() as opened:
        ends = {name: opened.enter_context(Upstream()) for name in ("limited", "held", "quick")}
        upstreams = "".join(f'[upstreams.{name}]\nendpoints = ["{one.address}"]\n' for name, one in ends.items())
        routes = "".join(
            f'[[routes]]\nname = "{name}"\npath = "/{name}"\nupstream = "{name}"\nlimits = ["all"{more}]\n'
            for name, more in (("limited", ', "each"'), ("held", ""), ("quick", ""))
        )
        plane = opened.enter_context(Plane(limits + upstreams + routes, server=SERVER))

        def ask(name: str) -> Peer:
            before = plane.statistics().exchanges
            client = opened.enter_context(plane.connect())
            client.send(GET.replace(b"/ ", f"/{name} ".encode(), 1))
            until(lambda: plane.statistics().exchanges == before + 1, "it has come")
            return client

        first = ask("limited")
        server = opened.enter_context(ends["limited"].accept())
        server.request()
        at_endpoint = ask("limited")
        other = ask("held")
        held = opened.enter_context(ends["held"].accept())
        held.request()
        at_contract = ask("quick")
        # One permit of the contract comes free, and with it the endpoint: two wait, and one of them goes on waiting.
        server.send(OK)
        assert first.answer().status == 200
        for _ in range(2):
            ready, _, _ = select.select([server.sock, ends["quick"].listening], [], [], 60)
            if server.sock in ready:
                server.request()
                server.send(OK)
                assert at_endpoint.answer().status == 200
            else:
                with ends["quick"].accept() as quick:
                    quick.request()
                    quick.send(OK)
                    assert at_contract.answer().status == 200
        held.send(OK)
        assert other.answer().status == 200
        until(lambda: plane.statistics().exchanges == 0, "all have ended")
        assert plane.region.inflight().rows_that_count() == 0


def test_dry_run_counts_what_it_would_let_in_at_each_endpoint_and_refuses_nobody() -> None:
    upstream = 'limits = ["each"]\nbalance = "round_robin"'
    limit = ONE_EACH + "dry_run = true\n"
    with group(2, limit, upstream=upstream) as (plane, endpoints), holding(plane, endpoints) as held:
        for _ in range(6):
            held.ask()
        assert verdicts(plane, "each") == {"admitted": 2, "would_refuse": 4}
        assert plane.region.inflight().rows_that_count() == 2
        for number in range(6):
            assert held.answer(number) == 200
        until(lambda: plane.region.inflight().rows_that_count() == 0, "all have ended")


WAITS_AT_ENDPOINT = {
    "permit": ('[limits.each]\nconcurrency = 1\nqueue = 2\nkey = "endpoint"\n', 503),
    "turn": ('[limits.each]\nrate = "1/h"\nburst = 2\nexcess = "delay"\nkey = "endpoint"\n', 429),
}


@pytest.mark.parametrize("timeout", ["9h", "off"])
@pytest.mark.parametrize(("limit", "status"), WAITS_AT_ENDPOINT.values(), ids=WAITS_AT_ENDPOINT.keys())
def test_who_may_have_left_does_not_wait_at_an_endpoint(limit: str, status: int, timeout: str) -> None:
    with (
        group(1, limit, route=f'timeout = "{timeout}"') as (plane, endpoints),
        holding(plane, endpoints) as held,
    ):
        held.ask()
        for _ in range(3):
            with plane.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
                client.sock.shutdown(socket.SHUT_WR)
                refused = client.answer()
                assert (refused.status, refused.get("Tidegate-Limit")) == (status, "each")
                assert refused.get("Retry-After") == "1"
        assert held.answer(0) == 200
        until(lambda: plane.statistics().exchanges == 0, "all have ended")


def test_second_attempt_asks_the_limits_of_its_own_endpoint() -> None:
    with group(2, ONE_EACH) as (plane, endpoints), holding(plane, endpoints) as held:
        first = held.ask()
        endpoints[1 - first].refuse()
        until(lambda: plane.get().status in (502, 503), "its dial is refused, and the other is full")
        assert held.answer(0) == 200
        until(lambda: plane.statistics().exchanges == 0, "it has ended")
        for _ in range(3):  # whichever is tried first, its permit is there again and the other one's is taken
            with plane.connect() as client:
                client.send(GET)
                held.pairs[0][1].request()
                held.pairs[0][1].send(OK)
                assert client.answer().status == 200


def test_each_endpoint_learns_for_itself() -> None:
    limit = (
        '[limits.each]\nkey = "endpoint"\n'
        'adaptive = { algorithm = "aimd", floor = 1, initial = 1, samples_min = 1, interval = "100ms" }\n'
    )
    with group(2, limit) as (plane, endpoints), holding(plane, endpoints) as held:
        assert sorted(held.ask() for _ in range(2)) == [0, 1]
        assert plane.get().status == 503
        assert held.answer(0) == 200
        shared = plane.region.adaptive(0)
        until(lambda: sorted(shared.learned(row) for row in range(2)) == [0, 2], "the one that answered has grown")
        assert held.answer(1, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") == 503
        until(lambda: sorted(shared.learned(row) for row in range(2)) == [1, 2], "the other one has not")
