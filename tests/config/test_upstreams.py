"""[upstreams.NAME]."""

from tests.config.gateways import LISTENER, PLAIN, ROUTE, accepted


def test_endpoints_are_addresses_or_tables() -> None:
    text = '[upstreams.app]\nendpoints = ["A.example:1", { address = "unix:/run/b.sock", weight = 3 }]\n'
    upstream = accepted(LISTENER + text + ROUTE).upstreams["app"]
    assert [(one.address, one.weight) for one in upstream.endpoints] == [("a.example:1", 1), ("unix:/run/b.sock", 3)]


def test_pool_is_bounded_and_waited_for_by_default() -> None:
    pool = accepted(PLAIN).upstreams["app"].pool
    assert 0 < pool.idle <= pool.max
    assert pool.wait > 0 and pool.wait_timeout > 0


def test_tls_verifies_unless_told_otherwise() -> None:
    upstream = accepted(PLAIN + "[upstreams.app.tls]\n").upstreams["app"]
    assert upstream.tls is not None and upstream.tls.verify
    assert accepted(PLAIN).upstreams["app"].tls is None


def test_part_of_a_table_leaves_the_other_defaults() -> None:
    text = PLAIN + '[upstreams.app.pool]\nmax_age = "off"\n[upstreams.app.tcp]\nkeepalive = "off"\n'
    upstream = accepted(text).upstreams["app"]
    assert (upstream.pool.max_age, upstream.pool.max) == (None, 512)
    assert (upstream.tcp.keepalive, upstream.tcp.user_timeout) == (None, 30.0)
