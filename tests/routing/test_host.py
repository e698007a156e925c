import pytest

from tidegate.routing.host import name_of_host

pytestmark = pytest.mark.sanitize


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        (b"Example.COM", b"example.com"),
        (b"example.com:8080", b"example.com"),
        (b"example.com.", b"example.com"),
        (b"example.com.:80", b"example.com"),
        (b"example.com:", b"example.com"),
        (b"[2001:DB8::1]:443", b"[2001:db8::1]"),
        (b"[::1]", b"[::1]"),
        (b"10.0.0.1", b"10.0.0.1"),
        (b"10.0.0.1:9001", b"10.0.0.1"),
        (b"80", b"80"),
        (b"a:b", b"a:b"),
        (b"_x-1.example", b"_x-1.example"),
        (b".", b""),
        (b":80", b""),
        (b"", b""),
        (b"a" * 255 + b".:1", b"a" * 255),
        (b"a" * 256, b""),
    ],
)
def test_name_is_what_hosts_are_compared_by(authority: bytes, name: bytes) -> None:
    assert name_of_host(authority) == name
