"""Accepting: the bounds on connections, what waits meanwhile, and a machine that is out of descriptors."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.plane.client_side import GET, OK, at_rest, one_upstream
from tests.plane.harness import Peer, Plane, Upstream, until

LOCAL = """
[[routes]]
name = "here"
respond = { status = 200, body = "here" }
"""


def is_silent(client: Peer) -> bool:
    """Whether nothing comes for a moment."""
    client.sock.settimeout(0.2)
    try:
        client.buffer += client.sock.recv(1000)
    except TimeoutError:
        return True
    finally:
        client.sock.settimeout(10)
    return False


def test_connection_over_the_bound_waits_until_another_ends() -> None:
    with Plane(LOCAL, server="max_connections = 2") as plane, ExitStack() as stack:
        first, second, third = (stack.enter_context(plane.connect()) for _ in range(3))
        for client in (first, second):
            client.send(GET)
            assert client.answer().body == b"here"
        third.send(GET)
        assert is_silent(third)
        assert plane.statistics().connections == 2
        first.close()
        assert third.answer().body == b"here"
        # and those that are there go on as before
        second.send(GET)
        assert second.answer().body == b"here"
        assert "max_connections" in plane.error_log.kinds()
        stack.close()
        at_rest(plane)
        assert plane.counters()["accept_pauses_full"] >= 1


def test_many_that_wait_are_all_served_in_the_end() -> None:
    with Plane(LOCAL, server="max_connections = 3") as plane:
        clients = [plane.connect() for _ in range(200)]
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.answer().body == b"here"
            client.close()
        at_rest(plane)
        assert plane.counters()["connections_accepted"] == 200


def test_connection_over_the_bound_of_its_address_is_closed_at_once() -> None:
    with Plane(LOCAL, server="max_connections_per_address = 2") as plane, ExitStack() as stack:
        first, second = (stack.enter_context(plane.connect()) for _ in range(2))
        until(lambda: plane.statistics().connections == 2, "accepted")
        with plane.connect() as third:
            assert third.is_closed()
        assert plane.statistics().connections == 2
        assert "max_connections_per_address" in plane.error_log.kinds()
        # another address has a bound of its own
        elsewhere = socket.create_connection((plane.host, plane.port), source_address=("127.0.0.2", 0))
        with Peer(elsewhere) as other:
            other.send(GET)
            assert other.answer().body == b"here"
        first.close()
        until(lambda: plane.statistics().connections == 1, "one has ended")
        with plane.connect() as third:
            third.send(GET)
            assert third.answer().body == b"here"
        second.close()
        at_rest(plane)
        assert plane.counters()["connections_refused_address"] == 1


def test_addresses_are_not_remembered_for_ever() -> None:
    with Plane(LOCAL, server="max_connections_per_address = 2") as plane:
        for i in range(1, 100):
            sock = socket.create_connection((plane.host, plane.port), source_address=(f"127.0.0.{i}", 0))
            with Peer(sock) as client:
                client.send(GET)
                assert client.answer().status == 200
        at_rest(plane)
        assert "0 addresses counted" in repr(plane.server.bounds)


@contextmanager
def no_descriptor_left(spare: int) -> Iterator[list[int]]:
    """Every descriptor but ``spare`` is taken; gives those that were taken for it, to be given back one by one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    try:
        limit = max(int(name) for name in os.listdir("/proc/self/fd")) + 1 + spare  # noqa: PTH208 - numbers, not paths
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        while True:
            try:
                taken.append(os.dup(taken[0]))
            except OSError:
                break
        for _ in range(spare):
            os.close(taken.pop())
        yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def test_out_of_descriptors_accepting_pauses_and_what_is_there_goes_on() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane, plane.connect() as first:
        first.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert first.answer().body == b"ok"

            def paused() -> int:
                return plane.counters()["accept_pauses"]

            with ExitStack() as stack:
                coming = [stack.enter_context(Peer(socket.socket())) for _ in range(5)]
                taken = stack.enter_context(no_descriptor_left(0))
                # A thread of an earlier test may give one back at any moment, and the gateway takes it: then one more
                # client has to come.
                for accepted, second in enumerate(coming, 1):
                    second.sock.connect((plane.host, plane.port))
                    until(lambda n=accepted: paused() or plane.statistics().connections > n, "taken or left waiting")
                    if plane.statistics().connections == accepted:
                        break
                second.send(GET)
                for _ in range(3):
                    first.send(GET)
                    server.request()
                    server.send(OK)
                    assert first.answer().body == b"ok"
                assert plane.statistics().connections == accepted
                # One is free again: nobody has to tell the gateway.
                os.close(taken.pop())
                until(lambda: plane.statistics().connections == accepted + 1, "accepted")
                server.request()
                server.send(OK)
                assert second.answer().body == b"ok"
            assert "accept_paused" in plane.error_log.kinds()
            first.close()
        at_rest(plane)


def test_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() -> None:
    with Upstream() as upstream, DualPlane(one_upstream(upstream)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            _, fields, _ = server.request()
            assert dict(fields)["X-Forwarded-For"] == "127.0.0.1"
            server.send(OK)
            assert client.answer().status == 200


class DualPlane(Plane):
    """A gateway on a socket that takes both kinds of clients."""

    def __init__(self, config: str) -> None:
        super().__init__(config)
        self.listening.close()
        self.listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.listening.getsockname()[1]
