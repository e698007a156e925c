"""An async filter in a gateway, with something to wait for."""

import socketserver
import threading
from collections.abc import Iterator

import pytest
from session import Session

from tidegate import testing


class Redis(socketserver.StreamRequestHandler):
    """Knows one session, and counts how often it is asked."""

    asked = 0

    def handle(self) -> None:
        """One command."""
        key = self.rfile.readline().split()[1]
        Redis.asked += 1
        if key == b"session:hangs":
            self.rfile.read()  # until the filter gives up
        value = b'{"user": "ann"}'
        self.wfile.write(b"$%d\r\n%b\r\n" % (len(value), value) if key == b"session:a1" else b"$-1\r\n")


@pytest.fixture
def redis() -> Iterator[str]:
    """Where it listens."""
    Redis.asked = 0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redis) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_session_is_looked_up_once(redis: str) -> None:
    """The second request finds it remembered."""
    with testing.gateway(testing.use(Session, redis=redis, remember="1m")) as gw:
        for _ in range(2):
            assert gw.get("/", {"Cookie": "session=a1"}).status == 200
        assert [got.get("X-User") for got in gw.upstream.received] == ["ann", "ann"]
        assert Redis.asked == 1


@pytest.mark.parametrize(
    ("cookie", "status"), [("session=b2", 401), ("other=1", 401), ("session=a%20b", 401), ("session=hangs", 503)]
)
def test_who_has_no_session_stays_out(redis: str, cookie: str, status: int) -> None:
    """And a Redis that hangs is a 503 in time, for those who need it."""
    with testing.gateway(testing.use(Session, redis=redis, timeout="100ms")) as gw:
        assert gw.get("/", {"Cookie": cookie}).status == status
        assert not gw.upstream.received
        assert not gw.errors


def test_redis_that_is_away_is_a_503() -> None:
    """Nobody listens on port 1."""
    with testing.gateway(testing.use(Session, redis="127.0.0.1:1")) as gw:
        assert gw.get("/", {"Cookie": "session=a1"}).status == 503
