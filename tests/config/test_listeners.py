"""[[listeners]]."""

from tests.config.gateways import PLAIN, ROUTE, UPSTREAM, accepted


def test_bounds_have_defaults() -> None:
    (listener,) = accepted(PLAIN).listeners
    assert listener.max_head == 32 * 1024
    assert listener.max_body == 1 << 30
    assert listener.idle_timeout > 60, "a balancer in front must be the one that closes"
    assert listener.keepalive_requests is None
    assert listener.tls is None


def test_what_may_be_off_is_none() -> None:
    text = '[[listeners]]\nbind = "[::1]:80"\nmax_body = "off"\nkeepalive_requests = "off"\n' + UPSTREAM + ROUTE
    (listener,) = accepted(text).listeners
    assert listener.max_body is None
    assert listener.keepalive_requests is None


def test_unix_socket_has_mode_and_owner(tmp_path) -> None:
    text = f'[[listeners]]\nbind = "unix:{tmp_path}/a.sock"\nmode = "0600"\nowner = "root:root"\n' + UPSTREAM + ROUTE
    (listener,) = accepted(text).listeners
    assert (listener.mode, listener.owner) == (0o600, "root:root")
