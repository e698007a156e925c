"""A region of shared memory that limits are put into."""

from collections.abc import Iterator

import pytest
from tests.limits.laid_out import MEMORY

from tidegate.config.allotment import room_of
from tidegate.memory.region import Region


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region.create(1, **room_of(MEMORY))
    yield made
    made.close()
