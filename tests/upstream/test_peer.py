"""The key of a pool: what makes two peers different, and addresses that connect(2) takes."""

import ctypes
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.upstream.peer import Peer
from tidegate.upstream.tls import TlsSettings

LIBC = ctypes.CDLL(None, use_errno=True)
TLS = TlsSettings(name="orders.internal")


def connect(sock: socket.socket, peer: Peer) -> None:
    if LIBC.connect(sock.fileno(), peer.sockaddr, len(peer.sockaddr)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_packed_address_reaches_the_server(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} on this machine")
        server.listen()
        peer = Peer(host, server.getsockname()[1])
        assert peer.family == family
        with socket.socket(family) as client:
            connect(client, peer)
            assert client.getpeername() == server.getsockname()


def test_packed_unix_address_reaches_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(path))
        server.listen()
        peer = Peer(f"unix:{path}")
        assert peer.is_unix and peer.port == 0 and peer.family == socket.AF_UNIX
        connect(client, peer)
        assert client.getpeername() == str(path)


def test_source_address_is_packed_for_bind() -> None:
    peer = Peer("127.0.0.1", 80, source_address="127.0.0.7")
    assert peer.source_sockaddr == struct.pack("=H2s4s8x", socket.AF_INET, b"\0\0", bytes([127, 0, 0, 7]))
    assert Peer("127.0.0.1", 80).source_sockaddr == b""


def test_longest_unix_path_fits_and_one_byte_more_is_refused() -> None:
    assert len(Peer("unix:/" + "p" * 106).sockaddr) == 2 + 107 + 1
    with pytest.raises(ValueError, match="at most 107 bytes"):
        Peer("unix:/" + "p" * 107)


@pytest.mark.parametrize("path", ["unix:relative", "unix:", "unix:/a\0b"])
def test_unix_path_that_cannot_be_dialled_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        Peer(path)


def test_link_local_address_keeps_its_scope() -> None:
    index = socket.if_nametoindex("lo")
    named, numbered = Peer("fe80::1%lo", 80), Peer(f"fe80::1%{index}", 80)
    assert named.sockaddr == numbered.sockaddr
    assert struct.unpack("=I", named.sockaddr[24:28]) == (index,)
    assert named != Peer("fe80::1", 80)
    with pytest.raises(ValueError, match="no-such-if"):
        Peer("fe80::1%no-such-if", 80)


@pytest.mark.parametrize("address", ["orders.internal", "", "1.2.3", "1.2.3.4%lo", "::1::"])
def test_name_that_was_not_resolved_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="IP address"):
        Peer(address, 80)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="port"):
        Peer("127.0.0.1", port)


@pytest.mark.parametrize(("scheme", "tls"), [("https", None), ("http", TLS), ("ftp", None)])
def test_scheme_and_tls_have_to_agree(scheme: str, tls: TlsSettings | None) -> None:
    with pytest.raises(ValueError, match="TLS"):
        Peer("127.0.0.1", 80, scheme=scheme, tls=tls)


def test_source_of_the_other_family_is_refused() -> None:
    with pytest.raises(ValueError, match="two address families"):
        Peer("127.0.0.1", 80, source_address="::1")
    with pytest.raises(ValueError, match="source address"):
        Peer("unix:/run/x", source_address="127.0.0.1")


FIELDS: dict[str, list[Any]] = {
    "host": ["10.0.0.1", "orders.internal", "billing.internal"],
    "port": [80, 81],
    "address": ["10.0.0.1", "10.0.0.2", "::1"],
    "tls": [None, TLS, TlsSettings(name="billing.internal"), TlsSettings(name="orders.internal", verify=False)],
    "source_address": ["", "10.9.9.9", "::2"],
}
fields = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}).filter(
    lambda f: not f["source_address"] or (":" in f["source_address"]) == (":" in f["address"])
)


@given(fields, fields)
def test_peers_are_equal_exactly_when_every_field_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = Peer(**one), Peer(**other)
    assert (first == second) == (one == other)
    assert (hash(first) == hash(second)) == (one == other)
    assert len({first: 1, second: 2}) == (1 if one == other else 2)


def test_peer_is_immutable() -> None:
    peer = Peer("10.0.0.1", 80)
    before = hash(peer), peer.sockaddr
    peer.__init__("10.0.0.2", 81)  # type: ignore[misc]
    assert (hash(peer), peer.sockaddr) == before
    for field in (*FIELDS, "scheme", "sockaddr", "label", "family"):
        with pytest.raises(AttributeError):
            setattr(peer, field, getattr(peer, field))


def test_label_is_what_a_person_would_write() -> None:
    assert Peer("orders", 9001, "10.0.0.5").label == "10.0.0.5:9001"
    assert Peer("::1", 9001).label == "[::1]:9001"
    assert Peer("unix:/run/a.sock").label == "unix:/run/a.sock"
    assert repr(Peer("orders", 9001, "10.0.0.5", tls=TLS)) == "<Peer https 10.0.0.5:9001 (orders)>"
