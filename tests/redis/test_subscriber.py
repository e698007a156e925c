"""What is published is heard, subscriptions outlive connections, and gaps are told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from tests.redis.links import FAR_S, background, link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.config.values import parse_address
from tidegate.errors import GatewayError
from tidegate.redis.connection import Greeting
from tidegate.redis.subscriber import Message, Subscriber
from tidegate.testing.relay import Relay


@pytest.mark.parametrize("protocol", ["RESP3", "RESP2"])
def test_messages_are_heard_by_channel_and_pattern(server: Server, protocol: str) -> None:
    async def scenario(address: str) -> None:
        heard: list[Message] = []
        async with link_to(address) as link:
            subscriber = link.subscriber(heard.append)
            await subscriber.subscribe("news", b"other")
            await subscriber.subscribe_patterns("weather.*")
            await subscriber.subscribe("news")  # once more changes nothing
            for channel, data in (("news", "a"), ("weather.today", b"\0"), ("nobody", "b"), ("other", "c")):
                await link.data.publish(channel, data)
            await until(lambda: len(heard) == 3)
            assert heard == [(b"news", b"a", None), (b"weather.today", b"\0", b"weather.*"), (b"other", b"c", None)]
            subscriber.unsubscribe("news")
            await link.data.publish("other", "last")
            await link.data.publish("news", "unheard")
            await until(lambda: len(heard) == 4)
            assert subscriber.statistics() == (1, 1, True, 4, 0)

    if protocol == "RESP3":
        run(scenario(server.address))
    else:
        with serving("--rename-command", "HELLO", "") as old:
            run(scenario(old.address))


def test_a_lost_connection_is_subscribed_again_and_the_gap_is_told() -> None:
    async def scenario(relay: Relay) -> None:
        heard: list[Any] = []
        async with link_to(relay.address) as link:
            subscriber = link.subscriber(heard.append, lambda: heard.append("gap"))
            await subscriber.subscribe("news")
            relay.cut()
            await until(lambda: "gap" in heard)
            while len(heard) < 2:
                with_error = await asyncio.gather(link.data.publish("news", "again"), return_exceptions=True)
                assert with_error
                await asyncio.sleep(0.01)
            assert heard[:2] == ["gap", (b"news", b"again", None)]

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_a_silent_connection_is_given_up() -> None:
    async def scenario(relay: Relay) -> None:
        heard: list[Any] = []

        async def where() -> Any:
            return parse_address(relay.address)

        greeting = Greeting(connect_timeout_s=FAR_S)
        subscriber = Subscriber(where, greeting, heard.append, lambda: heard.append("gap"), quiet_s=0.05)
        await subscriber.subscribe("news")
        quiet = relay.bytes_passed
        await until(lambda: relay.bytes_passed > quiet)  # it is asked whether it is still there
        before = relay.accepted
        relay.hold()
        await until(lambda: not subscriber.statistics().is_connected)
        relay.release()
        await until(lambda: "gap" in heard)
        assert relay.accepted > before
        subscriber.close()

    with serving() as server, Relay(server.address) as relay:
        run(scenario(relay))


def test_who_waits_for_a_server_that_is_away_hears_when_it_comes() -> None:
    with serving() as server:
        server.kill()

        async def scenario() -> None:
            heard: list[Message] = []
            async with link_to(server.address) as link:
                subscriber = link.subscriber(heard.append)
                waiting = background(subscriber.subscribe("news"))
                await asyncio.sleep(0.05)
                assert not waiting.done()
                await asyncio.to_thread(server.start)
                await waiting
                assert subscriber.statistics().is_connected

        run(scenario())


def test_a_listener_that_fails_hears_the_next_message(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        heard: list[Message] = []

        def listen(message: Message) -> None:
            heard.append(message)
            raise ZeroDivisionError

        async with link_to(server.address) as link:
            subscriber = link.subscriber(listen)
            await subscriber.subscribe("failing")
            await link.data.publish("failing", 1)
            await link.data.publish("failing", 2)
            await until(lambda: len(heard) == 2)

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert [record.kind for record in caplog.records] == ["redis_listener_failed"] * 2


def test_closing_tells_who_waits(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            subscriber = link.subscriber(lambda _: None)
            waiting = asyncio.gather(subscriber.subscribe("closed"), return_exceptions=True)
            await asyncio.sleep(0)
            link.close()
            (error,) = await waiting
            assert isinstance(error, GatewayError)
            with pytest.raises(GatewayError):
                await subscriber.subscribe("more")

    run(scenario())
