"""The applications themselves; they are asked over real sockets in tests/process/test_control.py."""

import pytest

from tidegate.admin.api import make_applications
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.observe.metrics import Metrics
from tidegate.process.view import GatewayView


@pytest.fixture
def applications():
    region = Region.create(1)
    view = GatewayView(
        snapshot=Snapshot.build(Gateway(listeners=(Listener(bind="127.0.0.1:1"),))),
        region=region,
        generation=1,
        started_ns=1,
        supervisor_pid=41,
        admin_address="127.0.0.1:2",
        ask_to_stop=lambda at_once: True,
        ask_to_upgrade=lambda asked: True,
        metrics=Metrics(region),
    )
    yield make_applications(view)
    region.close()


def test_commands_are_described_and_only_on_the_socket(applications):
    _, commands = applications
    paths = commands.openapi()["paths"]
    assert (
        set(paths["/stop"]) == set(paths["/record"]) == set(paths["/limits/peek"]) == set(paths["/profile"]) == {"post"}
    )
    assert {"/health/live", "/health/ready", "/status"} <= set(paths)
    assert set(paths["/config"]) == {"get", "put"}
    public_paths = applications[0]._application._application._reading.openapi()["paths"]
    assert not {"/stop", "/record", "/config", "/reload", "/limits/peek", "/profile", "/profile/end"} & set(
        public_paths
    )
    assert all(set(methods) == {"get"} for methods in public_paths.values())


def test_no_page_loads_scripts_from_elsewhere(applications):
    _, commands = applications
    assert not {"/docs", "/redoc"} & {route.path for route in commands.routes}
