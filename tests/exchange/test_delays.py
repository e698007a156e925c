"""The queue of those who wait for their turn; that they are served in order is in tests/plane/test_limits.py."""

import asyncio
import gc

from tests.plane.harness import Plane, until

from tidegate.exchange.delays import DelayQueue
from tidegate.net.reactor import Reactor

LIMIT = (
    '[limits.a]\nrate = "1/h"\nburst = 50\nexcess = "delay"\n'
    '[[routes]]\nname = "all"\nlimits = ["a"]\ntimeout = "2000h"\nrespond = {}\n'
)


def entries() -> int:
    """How many the queues of this process keep, those who have left with them."""
    # By type: asked for its class, a dead weak proxy among them raises.
    queues = [one for one in gc.get_objects() if type(one) is DelayQueue]
    return max(len(one) for queue in queues for one in gc.get_referents(queue) if isinstance(one, list))


def test_queue_without_anybody_has_no_timer() -> None:
    async def run() -> None:
        reactor = Reactor(asyncio.get_running_loop())
        try:
            assert len(DelayQueue(reactor)) == 0
            assert repr(DelayQueue(reactor)) == "<DelayQueue 0 wait>"
        finally:
            reactor.close()

    asyncio.run(run())


def test_who_waits_is_no_exchange_any_more_when_its_client_has_left() -> None:
    with Plane(LIMIT, listener='half_close = "abort"') as plane:
        assert plane.get().status == 200
        clients = [plane.connect() for _ in range(20)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: plane.counters()["exchanges_open"] == 20, "they wait")
        for client in clients:
            client.sock.close()
        until(plane.is_at_rest, "they have left")


def test_those_who_have_left_are_not_kept_until_their_turn() -> None:
    limit = LIMIT.replace("burst = 50", "burst = 1000")
    with Plane(limit, listener='half_close = "abort"') as plane:
        assert plane.get().status == 200
        for _ in range(15):
            clients = [plane.connect() for _ in range(20)]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: plane.counters()["exchanges_open"] == 20, "they wait")
            for client in clients:
                client.sock.close()
            until(lambda: plane.counters()["exchanges_open"] == 0, "they have left")
        assert entries() < 257
