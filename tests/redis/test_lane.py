"""A lane on a real server, and on one behind a relay: order, cancellation, bounds, deadlines, lost connections."""

from __future__ import annotations

import asyncio
import time
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redis.links import FAR_S, Log, background, lanes, link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.errors import GatewayError, Kind
from tidegate.redis.errors import ReplyError
from tidegate.redis.lane import Lane
from tidegate.redis.single import SingleLink
from tidegate.testing.relay import Relay

pytestmark = pytest.mark.sanitize


def data_lane(link: SingleLink) -> Lane:
    return link.node.lanes["data"]


async def outcome(future: Any) -> Any:
    """The reply, or what was raised instead."""
    try:
        return await future
    except (GatewayError, asyncio.CancelledError) as error:
        return error


def test_commands_of_one_turn_share_a_write(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.ping()
            before = data_lane(link).statistics().writes
            replies = await asyncio.gather(*(link.data.call("ECHO", number) for number in range(500)))
            assert replies == [b"%d" % number for number in range(500)]
            assert data_lane(link).statistics().writes == before + 1

    run(scenario())


def test_linger_lets_commands_of_several_turns_share_a_write(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address, lanes(linger_s=3600.0, batch=20)) as link:
            await asyncio.gather(*(link.data.ping() for _ in range(20)))
            before = data_lane(link).statistics().writes
            waiting = []
            for number in range(20):
                waiting.append(link.data.call("ECHO", number))
                await asyncio.sleep(0)
            await asyncio.gather(*waiting)
            assert data_lane(link).statistics().writes == before + 1

    run(scenario())


def test_a_linger_ends_by_itself(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address, lanes(linger_s=0.02, batch=1000)) as link:
            assert await link.data.call("ECHO", 1) == b"1"
            assert await link.data.call("ECHO", 2) == b"2"

    run(scenario())


def test_a_full_batch_ends_the_linger(server: Server) -> None:
    async def scenario() -> None:
        # Nobody waits for an hour: the third command sends all three.
        async with link_to(server.address, lanes(linger_s=3600.0, batch=3)) as link:
            waiting = [link.data.call("ECHO", number) for number in range(2)]
            await until(lambda: data_lane(link).connection is not None)
            await asyncio.sleep(0.01)
            assert not any(one.done() for one in waiting)
            waiting.append(link.data.call("ECHO", 2))
            assert await asyncio.gather(*waiting) == [b"0", b"1", b"2"]

    run(scenario())


actions = st.lists(
    st.tuples(
        st.sampled_from(["keep", "cancel at once", "cancel later", "short"]),
        st.integers(0, 70_000),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40)
@given(actions)
def test_nobody_gets_the_reply_of_another_whatever_is_cancelled(
    server: Server, calls: list[tuple[str, int, int]]
) -> None:
    """The server numbers its replies: ECHO says what the call was."""

    async def scenario() -> None:
        async with link_to(server.address) as link:
            kept: list[tuple[bytes, asyncio.Future[Any]]] = []
            for number, (fate, size, turns) in enumerate(calls):
                said = b"%d:" % number + b"x" * size
                client = link.data.within(1e-9) if fate == "short" else link.data
                task = background(outcome(client.call("ECHO", said)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if fate == "cancel at once":
                    task.cancel()
                elif fate == "cancel later":
                    asyncio.get_running_loop().call_later(0.0005, task.cancel)
                kept.append((said, task))
            for said, task in kept:
                got = await outcome(task)
                assert got == said or isinstance(got, GatewayError | asyncio.CancelledError)
            assert await link.data.call("ECHO", "last") == b"last"
            lane = data_lane(link)
            await until(lambda: lane.in_flight_count == 0)
            assert lane.bytes_in_flight == 0 and not lane.waiting

    run(scenario())


def test_callers_beyond_the_bound_wait_and_come_in_order(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address, lanes(max_commands=3)) as link:
            await link.data.ping()
            order: list[int] = []

            async def call(number: int) -> None:
                assert await link.data.call("ECHO", number) == b"%d" % number
                order.append(number)

            group = [background(call(number)) for number in range(20)]
            await asyncio.sleep(0)
            statistics = data_lane(link).statistics()
            assert (statistics.in_flight, statistics.waiting) == (3, 17)
            await asyncio.gather(*group)
            assert order == list(range(20))

    run(scenario())


def test_bytes_in_flight_are_bounded_too(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address, lanes(max_bytes=10_000)) as link:
            await link.data.ping()
            waiting = [link.data.call("ECHO", b"x" * 6_000) for _ in range(10)]
            statistics = data_lane(link).statistics()
            assert (statistics.in_flight, statistics.waiting) == (2, 8)
            assert {len(one) for one in await asyncio.gather(*waiting)} == {6_000}

    run(scenario())


def test_who_finds_the_queue_full_is_turned_away_at_once(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address, lanes(max_commands=1, max_waiting=2)) as link:
            await link.data.ping()
            first = [link.data.call("ECHO", number) for number in range(3)]
            with pytest.raises(GatewayError) as refused:
                await link.data.call("ECHO", 3)
            assert (refused.value.kind, refused.value.status) == (Kind.CONNECTION_LIMIT_REACHED, 503)
            assert await asyncio.gather(*first) == [b"0", b"1", b"2"]
            assert data_lane(link).statistics().turned_away == 1

    run(scenario())


def test_who_leaves_the_queue_is_never_sent(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address, lanes(max_commands=1)) as link:
            await link.data.set("left", "0")
            first = link.data.call("BLPOP", "nothing", 1)
            gone = background(outcome(link.data.call("INCR", "left")))
            last = link.data.call("ECHO", "last")
            await asyncio.sleep(0)
            gone.cancel()
            assert await first is None and await last == b"last"
            assert await link.data.get("left") == b"0"

    run(scenario())


def test_who_waited_for_a_connection_has_the_whole_time_for_the_reply(server: Server) -> None:
    """The first command of a lane waits until it is connected; its reply takes longer than that may take."""

    async def scenario() -> None:
        for _ in range(10):  # on a machine that needs a second to connect once more
            async with link_to(server.address, lanes(wait_timeout_s=1.0)) as link:
                waited = await outcome(link.data.call("BLPOP", "nothing", 1.5))
                if not isinstance(waited, GatewayError):
                    break
        assert waited is None

    run(scenario())


def test_a_time_of_its_own_counts_from_the_call(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            error = await outcome(link.data.within(0.3).call("BLPOP", "nothing", 2))
            assert isinstance(error, GatewayError) and error.kind in (
                Kind.CONNECTION_READ_TIMEOUT,
                Kind.CONNECTION_TIMEOUT,
            )

    run(scenario())


def test_what_was_answered_is_not_kept_until_its_deadline(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            patient = link.data.within(3600.0)
            calls = []
            for number in range(100):
                call = patient.call("ECHO", number)
                calls.append(weakref.ref(call))
                await call
            del call
            assert sum(one() is not None for one in calls) <= 2

    run(scenario())


def test_a_deadline_ends_the_waiting_and_the_reply_is_dropped() -> None:
    async def scenario(relay: Relay) -> None:
        async with link_to(relay.address) as link:
            await link.data.set("late", "1")
            relay.hold()
            with pytest.raises(GatewayError) as late:
                await link.data.within(0.02).get("late")
            assert late.value.kind is Kind.CONNECTION_READ_TIMEOUT
            relay.release()
            assert await link.data.call("ECHO", "next") == b"next"
            statistics = data_lane(link).statistics()
            assert (statistics.timeouts, statistics.dropped, statistics.reconnects) == (1, 1, 0)

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_a_caller_who_holds_the_loop_makes_nobody_late(server: Server) -> None:
    """Deadlines of a second, and a caller that burns a second and a half after its reply."""

    async def scenario() -> None:
        async with link_to(server.address, lanes(timeout_s=1.0)) as link:
            await link.data.within(FAR_S).ping()

            async def burning() -> None:
                await link.data.ping()
                time.sleep(1.5)  # noqa: ASYNC251 - the misdeed under test

            burnt = background(burning())
            while not burnt.done():
                replies = await asyncio.gather(*(link.data.call("ECHO", number) for number in range(10)))
                assert replies == [b"%d" % number for number in range(10)]
            assert data_lane(link).statistics().timeouts == 0

    run(scenario())


def test_latency_does_not_count_what_callers_do(server: Server) -> None:
    """The reply of BLPOP comes while the caller before it burns half a second."""

    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.ping()

            async def burn() -> None:
                await link.data.call("ECHO", "first")
                time.sleep(0.5)  # noqa: ASYNC251 - the misdeed under test

            began = time.monotonic()
            burning = background(burn())
            await asyncio.sleep(0)
            await link.data.call("BLPOP", "nothing", 0.1)
            took_s = time.monotonic() - began
            await burning
            (second,) = (one for one in link.statistics().commands if one.name == "BLPOP")
            assert second.max_us <= (took_s - 0.5) * 1e6

    run(scenario())


def test_large_values_go_out_and_come_back_in_pieces(server: Server) -> None:
    async def scenario() -> None:
        value = bytes(range(256)) * 4096 * 20
        async with link_to(server.address) as link:
            await link.bulk.ping()
            await link.bulk.set("large", value)
            sent = link.node.lanes["bulk"].statistics()
            assert sent.writes >= len(value) // (512 << 10)
            assert await link.bulk.get("large") == value
            both = [link.bulk.get("large"), link.bulk.call("ECHO", "behind"), link.bulk.get("large")]
            assert await asyncio.gather(*both) == [value, b"behind", value]
            await link.data.delete("large")

    run(scenario())


def test_a_large_set_goes_by_the_lane_for_large_values(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.set("small", b"x")
            await link.data.set("large", b"x" * 70_000)
            lanes_used = {one.name: one.commands for one in link.statistics().lanes}
            assert lanes_used == {"data": 1, "bulk": 1}

    run(scenario())


def test_a_lost_connection_fails_what_was_sent_and_the_next_one_goes_on() -> None:
    async def scenario(relay: Relay) -> None:
        log = Log()
        async with link_to(relay.address, log=log) as link:
            await link.data.ping()
            relay.hold()
            sent = [background(outcome(link.data.call("ECHO", number))) for number in range(5)]
            await until(lambda: data_lane(link).statistics().writes == 2)
            relay.cut()
            for error in await asyncio.gather(*sent):
                assert isinstance(error, GatewayError) and error.kind is Kind.CONNECTION_TERMINATED
            relay.release()
            assert await link.data.call("ECHO", "again") == b"again"
            assert data_lane(link).statistics().reconnects == 1
            assert log == [], "a connection that is replaced at once is no outage"

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_what_was_not_handed_over_goes_to_the_next_connection() -> None:
    """While the socket takes nothing, commands stay with the lane: losing the connection costs them nothing."""

    async def scenario(relay: Relay) -> None:
        async with link_to(relay.address, lanes(max_bytes=1 << 30)) as link:
            await link.data.ping()
            lane = data_lane(link)
            relay.hold()
            sent = [background(outcome(link.data.call("ECHO", b"x" * 60_000))) for _ in range(400)]
            await until(lambda: lane.connection is not None and lane.connection.is_paused)
            assert lane.statistics().commands < 401
            kept = background(outcome(link.data.call("ECHO", "kept")))
            await asyncio.sleep(0.01)
            relay.cut()
            relay.release()
            assert await kept == b"kept"
            failed = [one for one in await asyncio.gather(*sent) if isinstance(one, GatewayError)]
            assert 0 < len(failed) < 400

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_bytes_that_are_no_reply_end_the_connection() -> None:
    async def scenario(relay: Relay) -> None:
        async with link_to(relay.address) as link:
            await link.data.ping()
            relay.hold()
            asked = background(outcome(link.data.get("k")))
            await until(lambda: data_lane(link).statistics().writes == 2)
            relay.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            error = await asked
            assert isinstance(error, GatewayError) and error.kind is Kind.HTTP_PROTOCOL_ERROR
            relay.release()
            assert await link.data.call("ECHO", "again") == b"again"

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_a_reply_that_nobody_waits_for_ends_the_connection() -> None:
    async def scenario(relay: Relay) -> None:
        async with link_to(relay.address) as link:
            await link.data.ping()
            relay.say(b"+surprise\r\n")
            await until(lambda: data_lane(link).statistics().reconnects == 1)
            assert await link.data.call("ECHO", "mine") == b"mine"

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_a_half_closed_connection_is_a_lost_one() -> None:
    async def scenario(relay: Relay) -> None:
        async with link_to(relay.address) as link:
            await link.data.ping()
            relay.half_close()
            await until(lambda: data_lane(link).statistics().reconnects == 1)
            assert await link.data.call("ECHO", "mine") == b"mine"

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_an_error_of_the_server_is_the_callers_own(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.call("RPUSH", "list", "a")
            first, wrong, last = (
                link.data.call("ECHO", 1),
                background(outcome(link.data.get("list"))),
                link.data.call("ECHO", 2),
            )
            error = await wrong
            assert isinstance(error, ReplyError) and error.code == "WRONGTYPE"
            assert (await first, await last) == (b"1", b"2")
            (get,) = (one for one in link.statistics().commands if one.name == "GET")
            assert (get.calls, get.errors) == (1, 1)

    run(scenario())


def test_argument_that_cannot_be_sent_harms_nobody(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.ping()
            first = link.data.call("ECHO", 1)
            with pytest.raises(TypeError):
                await link.data.call("SET", "k", None)  # type: ignore[arg-type]
            last = link.data.call("ECHO", 2)
            assert (await first, await last) == (b"1", b"2")
            assert data_lane(link).bytes_in_flight == 0

    run(scenario())


def test_a_closed_lane_refuses(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.ping()
            waiting = background(outcome(link.data.call("BLPOP", "nothing", 5)))
            await asyncio.sleep(0)
            link.close()
            for one in (waiting, background(outcome(link.data.ping()))):
                error = await one
                assert isinstance(error, GatewayError) and "closed" in error.detail

    run(scenario())
