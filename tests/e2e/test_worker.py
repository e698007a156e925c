"""The data plane in a worker of its own: filters from a package, renewed certificates, and a quiet collector."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import textwrap
import threading

import pytest
import trustme
from tests.e2e.test_options import HELLO, gateway, metrics, pipelined, serve_forever
from tests.e2e.test_processes import ask
from tests.process.gateway import eventually

pytestmark = pytest.mark.e2e

PACKAGE = '''
"""Filters of somebody else's package."""

import asyncio

from tidegate import Filter, Request, Response, option


class Greets(Filter):
    """Answers."""

    word: str = option("hello", "what to say")

    async def on_request(self, request: Request) -> Response | None:
        await asyncio.sleep(0)
        if request.path == "/fails":
            raise RuntimeError("the lamp is out")
        request.log["greeted"] = True
        return Response(200, f"{self.word} from {request.route}")
'''


def test_filter_of_a_package_beside_the_configuration(tmp_path, monkeypatch):
    (tmp_path / "acme_filters.py").write_text(textwrap.dedent(PACKAGE))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    text = (
        '[filters.greets]\nclass = "acme_filters:Greets"\nword = "good evening"\n'
        '[[routes]]\nname = "all"\nfilters = ["greets"]\nrespond = { body = "nobody greets" }\n'
        f'[error_log]\npath = "{tmp_path}/errors"\n[access_log]\npath = "{tmp_path}/access"\nflush = "10ms"\n'
    )
    with gateway(tmp_path, text, server='workers = 1\nfilter_packages = ["acme_filters"]') as running_gateway:
        assert ask(running_gateway.listener, "/")[2] == b"good evening from all"
        assert ask(running_gateway.listener, "/fails")[0] == 500
        assert ask(running_gateway.listener, "/")[0] == 200
        assert metrics(running_gateway)["tidegate_exchange_path_total", ("cause", "filter"), ("path", "async")] == 3
        running_gateway.signal(signal.SIGTERM)
        assert running_gateway.wait() == 0
    errors = (tmp_path / "errors").read_text()
    assert "kind=filter_failed" in errors and "filter=greets" in errors and "the lamp is out" in errors
    assert '"greeted":true' in (tmp_path / "access").read_text()


def test_renewed_certificate_is_shown_without_a_restart(tmp_path):
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    both = tmp_path / "both.pem"

    def renew():
        issued = authority.issue_cert("gateway.test")
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "new.pem")
        (tmp_path / "new.pem").rename(both)

    def serial(address):
        with (
            socket.create_connection(address, timeout=20) as sock,
            context.wrap_socket(sock, server_hostname="gateway.test") as client,
        ):
            client.sendall(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            return client.getpeercert()["serialNumber"]

    renew()
    listener = f'tls = {{ certificates = [{{ cert = "{both}", key = "{both}" }}] }}'
    with gateway(tmp_path, listener=listener) as running_gateway:
        first = serial(running_gateway.address)
        assert serial(running_gateway.address) == first
        pids = running_gateway.workers()
        renew()
        eventually(lambda: serial(running_gateway.address) != first, "the new one is shown", deadline_s=30)
        assert running_gateway.workers() == pids


def test_requests_on_the_synchronous_path_make_nothing_for_the_collector(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        text = (
            f'{HELLO}path = "/hello"\n[upstreams.a]\nendpoints = ["127.0.0.1:{port}"]\n'
            '[[routes]]\nname = "proxied"\nupstream = "a"\n[access_log]\npath = "off"\n'
        )
        with gateway(tmp_path, text) as running_gateway:
            threading.Thread(target=serve_forever, args=(listening,), daemon=True).start()
            pipelined(running_gateway.address, 100, "/p")
            before = metrics(running_gateway)["tidegate_gc_collections_total", ("worker", "0")]
            assert pipelined(running_gateway.address, 20_000, "/p") == [200] * 20_000
            assert pipelined(running_gateway.address, 20_000, "/hello") == [200] * 20_000
            after = metrics(running_gateway)
            assert after["tidegate_exchange_path_total", ("cause", ""), ("path", "sync")] >= 40_000
            # One object that is tracked for each of 40,000 requests would be eight collections.
            assert after["tidegate_gc_collections_total", ("worker", "0")] - before <= 3
