"""What every test stands on: how hypothesis and the collector behave, and which tests run on the sanitized build."""

import functools
import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import tidegate

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "tidegate"
COMPILED = sorted(path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.pyx"))

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


@functools.cache
def tests_compiled_code(path: Path) -> bool:
    """Whether all tests of the file belong to a compiled module; others may carry the mark."""
    place = path.relative_to(TESTS)
    name = place.stem.removeprefix("test_")
    # A model of a protocol is Python alone, and what races is a C program of its own: the sanitizers would see nothing
    # in them. Processes that are killed make the calls of the module's other tests, and it takes long to start them.
    if name.endswith(("_model", "_race", "_threads", "_killed")):
        return False
    # tests/wire/test_http1_vectors.py belongs to wire/http1.pyx as well.
    return any(place.parent == module.parent and f"{name}_".startswith(f"{module.name}_") for module in COMPILED)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m sanitize`` alone, files that have no such test are not even imported: two thirds of all."""
    if config.option.markexpr != "sanitize" or collection_path.suffix != ".py" or not is_ours(collection_path):
        return None
    has_some = tests_compiled_code(collection_path) or "mark.sanitize" in collection_path.read_text()
    return None if has_some else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of compiled modules ``sanitize``; others that exercise compiled code carry the mark already.

    Slow ones come first: one that is begun last is waited for with nothing left to do beside it.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if is_ours(item.path) and tests_compiled_code(item.path):
            item.add_marker(pytest.mark.sanitize)


def pytest_collection_finish() -> None:
    """Keeps ten thousand tests out of the collector's sight, which would go through them again and again.

    Searches of models take a sixth less time, and each ``gc.collect()`` of a test looks at what that test has made.
    """
    gc.collect()
    gc.freeze()


def is_ours(path: Path) -> bool:
    """Whether the file lies below this folder; tests in temporary folders are no tests of compiled modules."""
    return path.is_relative_to(TESTS)
