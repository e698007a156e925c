"""What every test stands on: how hypothesis behaves here."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

import tidegate

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
