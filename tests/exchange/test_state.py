"""What an exchange knows, and lets go of."""

import contextlib
import os
from pathlib import Path

import pytest
from tests.exchange.filtered import filtered, get, look

TRUSTING = 'trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]'


@pytest.mark.parametrize(
    ("lines", "server", "client"),
    [
        ("", "", "127.0.0.1"),
        ("X-Forwarded-For: 1.2.3.4\r\n", "", "127.0.0.1"),
        ("X-Forwarded-For: 1.2.3.4\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.0.0.7\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: nonsense\r\n", TRUSTING, "127.0.0.1"),
    ],
)
def test_client_is_the_last_that_is_no_trusted_proxy(lines: str, server: str, client: str) -> None:
    assert look(lambda view: view.client_ip, get(headers=lines), server=server) == client


@pytest.mark.skipif(os.environ.get("TIDEGATE_SANITIZE") == "1", reason="AddressSanitizer keeps what was freed")
def test_large_heads_are_let_go_of() -> None:
    """Exchange objects are kept for use again; the buffers of the largest head that each has seen are not."""
    own = '[[routes]]\nname = "own"\npath = "/own"\nrespond = { status = 204 }\n'
    bounds = 'max_head = "128KiB"\nmax_headers = 128'
    with filtered(config=own, listener=bounds) as (plane, _), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(plane.connect()) for _ in range(100)]
        head = get("/own", "".join(f"X-{i}: {'y' * 1000}\r\n" for i in range(100)))
        for _ in range(2):
            for client in clients:
                client.send(head)
            for client in clients:
                assert client.answer(to="HEAD").status == 204
        before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        for _ in range(10):
            for client in clients:
                client.send(head)
            for client in clients:
                assert client.answer(to="HEAD").status == 204
        after = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        assert after - before < 5 << 20  # a thousand heads of 100 KB
