"""The probe does what the tests that stand on it take for granted."""

import asyncio
import os

from tidegate.net.probe import ProbeChannel, turn, wheel_ms
from tidegate.net.reactor import Reactor


def test_probe_shows_what_happens_to_its_channel() -> None:
    loop = asyncio.new_event_loop()
    reactor = Reactor(loop)
    seen: list[ProbeChannel] = []
    channel = ProbeChannel(reactor, os.eventfd(0, os.EFD_NONBLOCK), seen.append)
    now = wheel_ms(reactor) + 1000
    channel.deadline(now)
    turn(reactor, now + 100)
    assert wheel_ms(reactor) > now
    assert channel.happened == [("deadline",)]
    assert seen == [channel]
    channel.close()
    reactor.close()
    loop.close()
