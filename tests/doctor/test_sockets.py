import errno
import os
import socket
import struct

import pytest
from tests.process.gateway import eventually

from tidegate.doctor.sockets import Connection, parse_connection, read_connections


def between(local, peer):
    """Ports alone are not enough: others here may use the same one to somebody else."""
    return [one for one in read_connections() if one.local == local[:2] and one.peer == peer[:2]]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_connection_is_seen_as_the_kernel_tells_it_to_its_owner(family):
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    try:
        listening = socket.create_server((host, 0), family=family)
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise
        pytest.skip("no IPv6 here")
    with listening, socket.create_connection(listening.getsockname()[:2]) as client, listening.accept()[0] as accepted:
        for _ in range(50):
            client.sendall(b"x" * 100)
            accepted.recv(100)
        (found,) = between(client.getsockname(), listening.getsockname())
        told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        assert found.local == client.getsockname()[:2] and found.peer == listening.getsockname()[:2]
        assert found.state == "established" and found.is_local
        assert found.segments_out >= 50
        assert found.segments_out <= struct.unpack_from("=I", told, 136)[0]
        assert found.retransmits == struct.unpack_from("=I", told, 100)[0]
        assert found.rtt_s > 0


def test_a_first_packet_that_nobody_answers_is_told_as_such():
    """A full accept queue drops it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        dials = []
        for _ in range(5):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
            dials.append(one)

        def silent():
            ports = {one.getsockname()[1] for one in dials}
            found = [one for one in read_connections() if one.peer == listening.getsockname()]
            return [one for one in found if one.local[1] in ports and one.state == "syn-sent"]

        assert eventually(silent, "one is not answered")
        assert eventually(lambda: any(one.retransmits for one in silent()), "it was sent again")
        for one in dials:
            one.close()


def test_what_is_over_is_no_connection():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        local = client.getsockname()
        accepted = listening.accept()[0]
        client.close()  # first: it is the side that waits out
        accepted.close()
        eventually(lambda: not between(local, listening.getsockname()), "only its port is left")


def test_a_kernel_with_a_shorter_structure_tells_what_it_has():
    address = socket.inet_aton("10.0.0.1").ljust(16, b"\0")
    head = struct.pack("!BBBBHH16s16s", socket.AF_INET, 1, 0, 0, 80, 5000, address, address).ljust(72, b"\0")
    info = bytes(68) + struct.pack("=I", 1500) + bytes(8)
    attributes = struct.pack("=HH", 5, 9) + b"x\0\0\0" + struct.pack("=HH", 4 + len(info), 2) + info
    assert parse_connection(head + attributes) == Connection(
        ("10.0.0.1", 80), ("10.0.0.1", 5000), "established", rtt_s=0.0015
    )
    assert parse_connection(head).rtt_s == 0


def test_an_address_of_ipv4_in_a_socket_of_ipv6_is_told_as_what_it_is():
    address = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.1")
    head = struct.pack("!BBBBHH16s16s", socket.AF_INET6, 8, 0, 0, 80, 5000, address, address).ljust(72, b"\0")
    found = parse_connection(head)
    assert (found.peer, found.state) == (("192.0.2.1", 5000), "close-wait")


def test_a_refusal_of_the_kernel_is_an_error(monkeypatch):
    class Refusing:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def settimeout(self, _):
            pass

        def send(self, _):
            pass

        def recv(self, _):
            return struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EPERM).ljust(36, b"\0")

    monkeypatch.setattr("tidegate.doctor.sockets.socket.socket", Refusing)
    with pytest.raises(PermissionError):
        read_connections()
    assert os.strerror(errno.EPERM)
