"""Connections of a worker, by what is said and by what its descriptors allow."""

import resource

import pytest
from tests.config.gateways import PLAIN, accepted

from tidegate.config.bounds import OWN_DESCRIPTORS, clients_of_a_worker, descriptor_limit, servers_of_a_worker

POOLS = '[upstreams.a]\nendpoints = ["127.0.0.1:1", "127.0.0.1:2"]\npool = { max = 100, idle = 10 }\n'


def gateway(server: str = "", pools: str = POOLS):  # type: ignore[no-untyped-def]
    text = PLAIN.replace("[upstreams.app]\n", f"{pools}[upstreams.app]\npool = {{ max = 50, idle = 10 }}\n")
    return accepted(f"{text}[server]\n{server}\n")


def test_every_pool_of_every_endpoint_may_be_full() -> None:
    assert servers_of_a_worker(gateway()) == 2 * 100 + 50


def test_number_is_taken_at_its_word_and_shared() -> None:
    said = gateway("max_connections = 1001")
    assert clients_of_a_worker(said, 2, 100) == 501
    assert clients_of_a_worker(gateway("max_connections = 1"), 8, 100) == 1


@pytest.mark.parametrize(
    ("limit", "clients"),
    [
        (1 << 20, 65_536 // 2),
        (32_768 + 250 + OWN_DESCRIPTORS, 32_768),
        (20_000, 20_000 - 250 - OWN_DESCRIPTORS),
        (564, 250),  # just as many as there may be to upstreams
        (264, 100),  # half: pools that cannot be full take nothing from clients
        (64, 1),
        (0, 1),
    ],
)
def test_auto_follows_the_limit_of_descriptors(limit: int, clients: int) -> None:
    for said in ("", 'max_connections = "auto"'):
        assert clients_of_a_worker(gateway(said), 2, limit) == clients


def test_limit_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    monkeypatch.setattr("resource.getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert descriptor_limit() == 1 << 30
