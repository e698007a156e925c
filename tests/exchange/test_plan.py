"""What a snapshot compiles to."""

from pathlib import Path

import pytest

from tidegate import Filter, Request
from tidegate.config.check import check
from tidegate.exchange.filter import make_filters
from tidegate.exchange.plan import Plan, Step
from tidegate.testing.classes import target_of
from tidegate.upstream.build import build_upstream
from tidegate.upstream.pools import Pools


class Both(Filter):
    """Asks to see requests and ends."""

    async def on_request(self, request: Request) -> None:
        """Waits."""

    def on_finish(self, request: Request) -> None:
        """Counts."""


class Ends(Filter):
    """Asks to see ends only."""

    def on_finish(self, request: Request) -> None:
        """Counts."""


def plan_of(tmp_path: Path, text: str) -> Plan:
    path = tmp_path / "gateway.toml"
    path.write_text(
        f"""
server.filter_packages = ["tidegate.testing"]
listeners = [{{ bind = "127.0.0.1:8080" }}]
upstreams.a.endpoints = ["127.0.0.1:9001"]
upstreams.b.endpoints = ["127.0.0.1:9002"]
filters.both.class = "{target_of(Both)}"
filters.ends.class = "{target_of(Ends)}"
{text}
"""
    )
    snapshot, findings = check(path)
    assert snapshot is not None, list(map(str, findings))
    gateway = snapshot.gateway
    pools = Pools()
    upstreams = {name: build_upstream(name, one, pools) for name, one in gateway.upstreams.items()}
    return Plan(snapshot, upstreams, make_filters(gateway.filters))


def test_route_has_the_steps_that_its_filters_have(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
[[routes]]
name = "bare"
path = "/bare"
upstream = "a"

[[routes]]
name = "full"
upstream = "b"
filters = ["ends", "both"]
""",
    )
    bare, full = plan.routes["bare"], plan.routes["full"]
    assert (
        bare.on_request is bare.on_request_body is bare.on_response is bare.on_response_body is bare.on_finish is None
    )
    assert full.on_request is not None
    assert [(step.filter_name, step.is_async) for step in full.on_request] == [("both", True)]
    assert full.on_response is full.on_response_body is full.on_request_body is None
    assert full.on_finish is not None
    assert [(step.filter_name, step.is_async) for step in full.on_finish] == [("both", False), ("ends", False)]
    assert full.on_request[0].call.__self__ is full.on_finish[0].call.__self__ is plan.filters["both"]
    assert full.destination is plan.destinations["b"]
    assert bare.destination is plan.destinations["a"]
    assert repr(full) == "<Route full: <Step both.on_request async>>"
    assert repr(bare) == "<Route bare: no filters>"
    assert repr(plan) == f"<Plan {plan.number}: 2 routes, 0 exchanges in flight>"


def test_route_leads_to_an_upstream_or_answers_itself(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
[[routes]]
name = "fixed"
path = "/fixed"
respond.status = 204

[[routes]]
name = "moved"
path = "/moved/{x}"
redirect.to = "/new/{x}"
""",
    )
    assert plan.routes["fixed"].destination is None
    assert plan.routes["moved"].destination is None
    assert set(plan.destinations) == {"a", "b"}


def test_step_says_what_it_is() -> None:
    assert repr(Step("name", Both().on_request)) == "<Step name.on_request async>"
    assert repr(Step("name", Both().on_finish)) == "<Step name.on_finish>"
    with pytest.raises(TypeError):
        Step(None, Both().on_finish)  # type: ignore[arg-type]
