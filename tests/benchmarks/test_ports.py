"""A port that a server is given stays free until it starts."""

import socket
from pathlib import Path

from benchmarks.ports import free_port


def test_a_free_port_can_be_bound_and_is_none_of_the_clients() -> None:
    port = free_port()
    with socket.socket() as own:
        own.bind(("127.0.0.1", port))
    assert port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def test_nobody_is_given_the_same_port_twice() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
