"""Tests have the relay of the lab."""

import socket

from tidegate.testing.relay import Relay


def test_it_passes_on_what_a_client_says():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        with Relay(f"{host}:{port}") as relay:
            _, _, number = relay.address.rpartition(":")
            with socket.create_connection((host, int(number)), timeout=30) as client:
                server, _ = listener.accept()
                with server:
                    server.settimeout(30)
                    client.sendall(b"hello")
                    assert server.recv(5, socket.MSG_WAITALL) == b"hello"
