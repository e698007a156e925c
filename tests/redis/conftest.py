"""One server for all tests of a process that leave it as they found it; keys are each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.redis.servers import Server, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one
