"""Upstreams as a whole; cases/upstreams.toml has the findings."""

from tests.config.gateways import LISTENER, PLAIN, ROUTE, accepted, told


def test_smaller_pool_than_the_default_idle_is_taken() -> None:
    accepted(PLAIN + "[upstreams.app.pool]\nmax = 4\n")


def test_idle_over_max_is_told_only_if_it_was_said() -> None:
    assert len(told(PLAIN + "[upstreams.app.pool]\nmax = 4\nidle = 5\n")) == 1
    assert len(told(PLAIN + "[upstreams.app.pool]\nidle = 513\n")) == 1


def test_same_port_on_other_hosts_is_another_endpoint() -> None:
    accepted(LISTENER + '[upstreams.app]\nendpoints = ["a:1", "b:1", "a:2", "unix:/a"]\n' + ROUTE)


def test_source_address_of_the_same_family_is_taken() -> None:
    accepted(LISTENER + '[upstreams.app]\nendpoints = ["[::2]:1", "a:1"]\nsource_address = "::1"\n' + ROUTE)
