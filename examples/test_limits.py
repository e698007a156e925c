"""The three layers of limits.toml, one after the other, on the limits and keys of that very file."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidegate import testing

FILE: dict[str, Any] = tomllib.loads((Path(__file__).parent / "limits.toml").read_text())
RIVER, SEA = {"X-API-Key": "river"}, {"X-API-Key": "sea"}


@contextmanager
def gateway(**changes: dict[str, Any]) -> Iterator[testing.Gateway]:
    """The gateway of the file; ``changes`` slow limits down, so that nothing is paid back while a test asks."""
    limits = {name: {**limit, **changes.get(name, {})} for name, limit in FILE["limits"].items()}
    (route,) = FILE["routes"]
    with testing.gateway(
        listener={"limits": FILE["listeners"][0]["limits"]},
        upstreams=("demo",),
        route={"auth": route["auth"], "limits": [*route["limits"], *FILE["upstreams"]["demo"]["limits"]]},
        config={"limits": limits, "auth": FILE["auth"]},
    ) as made:
        yield made


def statuses(gw: testing.Gateway, keys: dict[str, str], times: int) -> list[int]:
    """Of so many requests, one after the other."""
    return [gw.get("/api/orders", keys).status for _ in range(times)]


def test_edge_counts_arrivals_before_anything_is_looked_up() -> None:
    """Good keys and bad ones alike."""
    with gateway(edge={"rate": "1/d", "burst": 2}) as gw:
        assert statuses(gw, {"X-API-Key": "guess"}, 2) == [401, 401]
        assert statuses(gw, RIVER, 2) == [200, 429]


def test_sixth_wrong_key_is_refused_before_it_is_looked_at() -> None:
    """And right ones are never counted."""
    with gateway(guesses={"rate": "1/d"}, contract={"rate": "1000/s", "burst": 100, "tiers": {}}) as gw:
        assert statuses(gw, SEA, 8) == [200] * 8
        assert statuses(gw, {"X-API-Key": "guess"}, 6) == [401] * 5 + [429]


def test_contract_is_by_tenant_and_tier() -> None:
    """What one has used up is not taken from another."""
    slow = {"rate": "1/d", "burst": 1, "excess": "reject", "tiers": {"gold": {"burst": 3}}}
    with gateway(contract=slow) as gw:
        assert statuses(gw, SEA, 3) == [200, 200, 429]
        assert statuses(gw, RIVER, 5) == [200] * 4 + [429]


def test_what_the_servers_bear_is_for_all_tenants_together() -> None:
    """And who is refused there has not used up his contract."""
    with gateway(servers={"rate": "1/d", "burst": 1}) as gw:
        assert statuses(gw, SEA, 1) + statuses(gw, RIVER, 2) == [200, 200, 429]
        assert gw.get("/api/orders", RIVER).get("Tidegate-Limit") == "servers"
