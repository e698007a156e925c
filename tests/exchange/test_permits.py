"""The queue of those who wait for a permit; what it does with traffic is in tests/plane/test_limits.py."""

import asyncio
import os
import select

from tidegate.exchange.permits import PermitQueue
from tidegate.net.reactor import Reactor


def test_bell_that_rings_for_nobody_is_silenced() -> None:
    async def run() -> None:
        fd = os.eventfd(0, os.EFD_NONBLOCK)
        reactor = Reactor(asyncio.get_running_loop())
        queue = PermitQueue(reactor, fd)
        try:
            assert len(queue) == 0
            os.eventfd_write(fd, 3)
            async with asyncio.timeout(30):
                while select.select([fd], [], [], 0)[0]:  # noqa: ASYNC110 - the queue tells nobody what it heard
                    await asyncio.sleep(0.001)
        finally:
            queue.close()
            queue.close()  # twice is once
            reactor.close()
            os.close(fd)

    asyncio.run(run())


def test_queue_without_a_bell_has_its_timer() -> None:
    async def run() -> None:
        reactor = Reactor(asyncio.get_running_loop())
        queue = PermitQueue(reactor, -1)
        assert repr(queue) == "<PermitQueue 0 wait>"
        queue.close()
        reactor.close()

    asyncio.run(run())
