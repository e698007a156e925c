"""The applications themselves; they are asked over real sockets in tests/process/test_control.py."""

import pytest
from tests.admin.views import view_of

from tidegate.admin.api import make_applications
from tidegate.memory.region import Region


@pytest.fixture
def applications():
    region = Region.create(1)
    view = view_of(region, ask_to_upgrade=lambda asked: True)
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
