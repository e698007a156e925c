"""What a load may know of its value."""

from __future__ import annotations

import tidegate
from tidegate.cache.loaded import Loaded


def test_it_is_part_of_the_public_face_and_a_value_is_enough() -> None:
    assert tidegate.Loaded is Loaded
    assert Loaded(b"v") == (b"v", None, ())
