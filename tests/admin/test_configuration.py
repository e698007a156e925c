"""``/config`` without workers: what it says of itself. With real ones: tests/e2e/test_configuration.py."""

import pytest
from starlette.applications import Starlette
from tests.admin.test_api import applications  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("applications")


def test_schema_says_how_a_configuration_is_sent(applications):  # noqa: F811
    _, commands = applications
    assert isinstance(commands, Starlette)
    put = commands.openapi()["paths"]["/config"]["put"]
    assert set(put["requestBody"]["content"]) == {"application/toml", "application/json"}
