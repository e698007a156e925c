"""Values while they travel."""

from __future__ import annotations

import asyncio

import pytest
from tests.redis.links import background, run

from tidegate.cache.codec import AT_ONCE, codec_named, decoded


def test_bytes_travel_as_they_are_and_nothing_else_does() -> None:
    codec = codec_named("bytes")
    for value in (b"v", bytearray(b"v"), memoryview(b"v")):
        assert codec.decode(codec.encode(value)) == b"v"
    with pytest.raises(TypeError, match=r'got dict; objects need codec = "json"'):
        codec.encode({})


def test_objects_travel_as_json() -> None:
    codec = codec_named("json")
    value = {"roles": ["a", "b"], "until": 1.5, "name": "é", "none": None}
    assert codec.decode(codec.encode(value)) == value
    with pytest.raises(TypeError):
        codec.encode(object())
    with pytest.raises(ValueError, match=r"."):
        codec.decode(b"{")


def test_objects_that_say_what_they_are_travel_as_that() -> None:
    class Plan:
        def as_json(self) -> dict[str, str]:
            return {"name": "gold"}

    codec = codec_named("json")
    assert codec.decode(codec.encode([Plan()])) == [{"name": "gold"}]


def test_many_bytes_are_decoded_with_others_on_the_loop_in_between() -> None:
    async def scenario() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = background(other())
        rows = list(range(AT_ONCE))
        json = codec_named("json")
        assert await decoded(json, json.encode(rows[:10])) == rows[:10] and turns == 0
        assert await decoded(json, json.encode(rows)) == rows
        assert turns > 2
        assert await decoded(codec_named("bytes"), bytes(AT_ONCE + 1)) == bytes(AT_ONCE + 1)
        beside.cancel()

    run(scenario())
