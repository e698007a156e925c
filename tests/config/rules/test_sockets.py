"""Addresses beside each other; cases/sockets.toml has the findings."""

from pathlib import Path

import pytest
from tests.config.gateways import ROUTE, UPSTREAM, accepted, told


def listeners(*binds: str) -> str:
    return "".join(f'[[listeners]]\nbind = "{bind}"\n' for bind in binds) + UPSTREAM + ROUTE


@pytest.mark.parametrize(
    "binds",
    [
        ("0.0.0.0:80", "[::]:80"),
        ("127.0.0.1:80", "127.0.0.2:80", "127.0.0.1:81"),
        ("localhost:80", "[::1]:80"),
        ("unix:/tmp/a.sock", "unix:/tmp/b.sock"),
    ],
)
def test_different_addresses_go_beside_each_other(binds: tuple[str, ...]) -> None:
    assert len(accepted(listeners(*binds)).listeners) == len(binds)


@pytest.mark.parametrize(
    "binds",
    [
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("[::1]:80", "[::]:80"),
        ("[0::1]:80", "[::1]:80"),
        ("localhost:80", "127.0.0.1:80"),
        ("unix:/tmp/a.sock", "unix:/tmp/a.sock"),
    ],
)
def test_one_address_is_taken_once(binds: tuple[str, ...]) -> None:
    (finding,) = told(listeners(*binds))
    assert finding.startswith("listeners[1].bind: ") and "is taken already by a listener in line 2" in finding


def test_default_admin_address_is_taken_too() -> None:
    (finding,) = told(listeners("127.0.0.1:9900"))
    assert "is taken already by the admin address (127.0.0.1:9900)" in finding


def test_left_over_socket_file_is_no_finding(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "a.sock"))
    accepted(listeners(f"unix:{tmp_path}/a.sock"))
