"""[server]."""

import pytest
from tests.config.gateways import PLAIN, accepted, told


def test_everything_has_a_default() -> None:
    server = accepted(PLAIN).server
    assert server.workers == "auto"
    assert server.admin == "127.0.0.1:9900"
    assert server.max_connections_per_address is None


def test_values_are_plain_numbers() -> None:
    server = accepted(PLAIN + '[server]\nworkers = 3\ndrain_timeout = "2m"\nmax_connections_per_address = 20\n').server
    assert (server.workers, server.drain_timeout, server.max_connections_per_address) == (3, 120.0, 20)


def test_ranges_are_canonical() -> None:
    server = accepted(PLAIN + '[server]\ntrusted_proxies = ["10.1.2.3", "2001:DB8::/32"]\n').server
    assert server.trusted_proxies == ("10.1.2.3/32", "2001:db8::/32")


@pytest.mark.parametrize("workers", ["0", "257", "true", "2.0", '"two"', '"4"'])
def test_workers_are_a_number_in_bounds_or_auto(workers: str) -> None:
    (finding,) = told(PLAIN + f"[server]\nworkers = {workers}\n")
    assert finding.startswith('server.workers: expected a whole number from 1 to 256 or "auto", got ')


def test_token_is_a_reference_that_leads_somewhere_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = told(PLAIN + '[server]\nadmin_token = "hunter2"\n')
    assert finding == 'server.admin_token: expected a reference to a secret: "env:NAME" or "file:PATH"'
    (finding,) = told(PLAIN + '[server]\nadmin_token = "env:TIDEGATE_TEST_TOKEN"\n')
    assert finding == "server.admin_token: environment variable TIDEGATE_TEST_TOKEN is not set"
    monkeypatch.setenv("TIDEGATE_TEST_TOKEN", "hunter2")
    assert accepted(PLAIN + '[server]\nadmin_token = "env:TIDEGATE_TEST_TOKEN"\n').server.admin_token is not None


def test_state_directory_begins_at_the_file() -> None:
    server = accepted(PLAIN + '[server]\nstate_dir = "state"\n', "/etc/tidegate").server
    assert server.state_dir == "/etc/tidegate/state"
