"""What the command asks for; upgrades themselves are in tests/process/test_upgrade.py."""

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from tidegate.admin.upgrade import UpgradeRequest, add_upgrade


def test_command_is_described():
    api = FastAPI()
    add_upgrade(api, None)
    assert set(api.openapi()["paths"]["/upgrade"]) == {"post"}


def test_attempt_has_a_name_of_bounded_length():
    with pytest.raises(ValidationError, match="64"):
        UpgradeRequest(attempt="a" * 65, python="/usr/bin/python3", python_path=[])
