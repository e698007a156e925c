"""Ports that nobody has."""

import socket

from tidegate.lab.pieces.port import free_port


def test_a_free_port_can_be_bound():
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        assert listener.getsockname()[1] > 0
