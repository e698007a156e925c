"""The queue of those who wait for a permit; what it does with traffic is in tests/plane/test_limits.py."""

import asyncio
import os
import select
from contextlib import ExitStack

from tests.plane.harness import Peer, Upstream, until
from tests.plane.test_limits import OK, QUEUE, leave, slowly

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


def test_who_goes_from_one_queue_into_another_is_before_those_who_began_to_wait_later() -> None:
    limits = QUEUE.replace("two", "one") + QUEUE
    other = '[[routes]]\nname = "{0}"\npath = "/{0}"\nupstream = "u"\nlimits = ["{0}"]\n'
    route = 'path = "/both"\nlimits = ["one", "two"]\n' + other.format("one") + other.format("two")
    with Upstream() as slow, slowly(slow, limits, route) as plane, ExitStack() as opened:

        def send(path: str) -> Peer:
            client = opened.enter_context(plane.connect())
            client.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
            return client

        def served() -> Peer:
            server = opened.enter_context(slow.accept())
            server.request()
            return server

        first = send("/one")
        served()
        second = send("/two")
        server = served()
        both = send("/both")
        until(lambda: plane.statistics().exchanges == 3, "it waits for the first")
        later = send("/two")
        until(lambda: plane.statistics().exchanges == 4, "it waits for the second")
        leave(first)
        last = send("/one")
        served()  # it is served when the one for both has gone on to the other queue
        leave(last)
        until(lambda: plane.statistics().exchanges == 3, "it has left")
        for client, path in ((second, "/both"), (both, "/two")):
            server.send(OK)
            assert client.answer().status == 200
            assert server.request()[0] == f"GET {path} HTTP/1.1"
        server.send(OK)
        assert later.answer().status == 200
