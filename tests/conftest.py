"""What every test stands on: how hypothesis behaves here, and which tests run on the sanitized build."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import tidegate

SOURCE = Path(__file__).parents[1] / "src" / "tidegate"

# No deadline per example: the machines that run this flip between two speeds within seconds, and the sanitized build is
# many times slower. On CI the examples are the same each time, so that a red run can be repeated.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure() -> None:
    """Refuses to call a run sanitized that is not: a wrong path would quietly test the ordinary build."""
    if os.environ.get("TIDEGATE_SANITIZE") == "1":
        place = Path(tidegate.__file__).as_posix()
        assert "/build/sanitized/" in place, f"TIDEGATE_SANITIZE=1, but tidegate comes from {place}; run ./dev test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of compiled modules ``sanitize``; others that exercise compiled code carry the mark already."""
    tests = Path(__file__).parent
    compiled = {path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.pyx")}
    for item in items:
        if item.path.is_relative_to(tests):
            place = item.path.relative_to(tests)
            name = place.stem.removeprefix("test_")
            if name.endswith("_model"):
                continue  # a model of a protocol is Python alone: the sanitizers would see nothing in it
            # tests/wire/test_http1_vectors.py belongs to wire/http1.pyx as well.
            if any(place.parent == module.parent and f"{name}_".startswith(f"{module.name}_") for module in compiled):
                item.add_marker(pytest.mark.sanitize)
