"""What runs out: the server's listen queue, and the gateway's own ports and descriptors."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plane.harness import Plane, Upstream, until
from tests.plane.serving import OK, check_failure, gateway

pytestmark = pytest.mark.sanitize

QUICK = 'connect_timeout = "300ms"'


@contextlib.contextmanager
def full_queue(path: str) -> Iterator[tuple[Upstream, list[socket.socket]]]:
    """A unix socket whose listen queue takes nobody more."""
    with Upstream(path=path, backlog=0) as upstream, contextlib.ExitStack() as stack:
        fillers: list[socket.socket] = []
        while True:
            filler = stack.enter_context(socket.socket(socket.AF_UNIX))
            filler.setblocking(False)
            try:
                filler.connect(path)
            except BlockingIOError:
                break
            fillers.append(filler)
        yield upstream, fillers


def test_full_listen_queue_is_waited_for_and_then_503(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with full_queue(path), Plane(gateway(f"unix:{path}", upstream=QUICK)) as plane:
        began = time.monotonic()
        answer = plane.get()
        assert time.monotonic() - began > 0.25
        check_failure(plane, answer, 503, "connection_limit_reached")
        assert plane.counters()["upstream_retries"] == 0
        assert failures_of_endpoints(plane) == 0


def test_listen_queue_with_room_again_is_used(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with full_queue(path) as (upstream, fillers), Plane(gateway(f"unix:{path}")) as plane, plane.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        until(lambda: plane.statistics().exchanges == 1, "it waits")
        for _ in fillers:
            upstream.accept().close()
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200


def test_client_that_leaves_while_the_queue_is_full_leaves_nothing(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with full_queue(path), Plane(gateway(f"unix:{path}")) as plane:
        with plane.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            until(lambda: plane.statistics().exchanges == 1, "it waits")
            client.reset()
        until(plane.is_at_rest, "at rest")
        assert all(pool.open == 0 for pool in plane.statistics().pools)


def failures_of_endpoints(plane: Plane) -> int:
    return sum(endpoint.failures for endpoint in plane.statistics().upstreams["a"])


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """This process can open nothing more. What it needs meanwhile has to be open already."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, max(map(int, os.listdir("/proc/self/fd"))) + 8), hard))  # noqa: PTH208
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held:
            os.close(fd)


def test_no_descriptor_left_for_an_upstream() -> None:
    with Upstream() as one, Upstream() as two, Plane(gateway(one.address, two.address)) as plane:
        with plane.connect() as client:
            client.send(b"GET /first HTTP/1.1\r\nHost: gateway.test\r\n")  # accepted, so that only the dial is short
            until(lambda: plane.statistics().connections == 1, "accepted")
            with no_descriptors_left():
                client.send(b"\r\n")
                answer = client.answer()
        check_failure(plane, answer, 503, "gateway_exhausted")
        counters = plane.counters()
        assert (counters["gateway_exhausted"], counters["upstream_retries"]) == (1, 0)
        assert failures_of_endpoints(plane) == 0
        assert plane.error_log.kinds() == ["upstream_gateway_exhausted"]


LOOPBACK_UP = "ip link set lo up 2>/dev/null || ifconfig lo up"
PORTS = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("50000 50009")
    from tests.plane.harness import Plane, until
    from tests.plane.serving import Serving, answering, gateway, proxy_error
    extra = 'source_address = "127.0.0.1"' if sys.argv[1] == "bound" else ""
    def handle(peer, line, fields, body):
        held.wait(10)
        peer.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    import threading
    held = threading.Event()
    with Serving(handle) as serving:
        with Plane(gateway(serving.address, upstream=extra)) as plane:
            # Clients have ports of their own: outside the range the kernel chooses from.
            import socket
            clients = []
            for i in range(14):
                sock = socket.socket()
                sock.bind(("127.0.0.1", 40000 + i))
                sock.connect(("127.0.0.1", plane.port))
                sock.settimeout(10)
                clients.append(sock)
            for sock in clients:
                sock.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
            until(lambda: plane.counters()["gateway_exhausted"] >= 1, "exhausted")
            held.set()
            from tests.plane.harness import Peer
            answers = [Peer(sock).answer() for sock in clients]
            for sock in clients:
                sock.close()
            until(plane.is_at_rest, "at rest")
            print(json.dumps({
                "statuses": sorted(answer.status for answer in answers),
                "kinds": sorted({proxy_error(answer) for answer in answers}),
                "retries": plane.counters()["upstream_retries"],
                "failures": sum(one.failures for one in plane.statistics().upstreams["a"]),
                "said": sorted(set(plane.error_log.kinds())),
            }))
    """
)


@pytest.mark.parametrize("source", ["bound", "free"])
def test_no_local_port_left(source: str) -> None:
    """In a network of its own with ten ports: fourteen requests at once towards one server."""
    found = json.loads(in_own_network(PORTS, source))
    assert found["statuses"] == [200] * 8 + [503] * 6  # two of the ports are those that the two listen on
    assert found["kinds"] == ["", "gateway_exhausted"]
    assert (found["retries"], found["failures"]) == (0, 0)
    assert found["said"] == ["upstream_gateway_exhausted"]


OURSELVES = textwrap.dedent(
    """
    from pathlib import Path
    from tests.plane.harness import Plane, until
    from tests.plane.serving import gateway, proxy_error
    import socket
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("50000 50003")
    kinds = set()
    with Plane(gateway("127.0.0.1:50002")) as plane:
        for i in range(60):
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 40000 + i))
                sock.connect(("127.0.0.1", plane.port))
                sock.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
                sock.settimeout(10)
                from tests.plane.harness import Peer
                kinds.add(proxy_error(Peer(sock).answer()))
        until(plane.is_at_rest, "at rest")
        assert any("ourselves" in detail for _, detail, _ in plane.error_log.said), "it has never come to that"
    print(sorted(kinds))
    """
)


def in_own_network(program: str, *arguments: str) -> str:
    """What a program says in a network of its own, whose port range it may change."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespace may be made here")
    run = subprocess.run(
        ["unshare", "-n", "sh", "-c", f'{LOOPBACK_UP}; exec "$@"', "sh", sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", *sys.path])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_nobody_is_connected_to_himself() -> None:
    """Dialling a closed port of this machine, the kernel may choose that port for our own end: both ends are one."""
    assert in_own_network(OURSELVES) == "['connection_refused']\n"


def test_one_source_address_serves_many_destinations_with_the_same_ports() -> None:
    """bind(2) would take a port for every connection, whatever it is connected to: connect(2) chooses it."""
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream='source_address = "127.0.0.2"')) as plane:
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(plane.get().status))
        thread.start()
        with upstream.accept() as server:
            assert server.sock.getpeername()[0] == "127.0.0.2"
            server.request()
            server.send(OK)
            thread.join()
        assert answers == [200]
