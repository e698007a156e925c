"""Where keys come from."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest
from tests.filters.issuers import SECRET, Issuer
from tests.redis.links import background, run, until

from tidegate.filters.jwt.keys import KeySet
from tidegate.filters.jwt.source import Reading, ReadKeys, SecretKeys

OLD, NEW = Issuer(kid="old"), Issuer(number=1, kid="new")


class Publisher:
    """What would be asked over the network, by a clock that a test moves; ``gate`` holds readings up."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.document: bytes | Exception = OLD.jwks
        self.age_s = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.keys = ReadKeys(
            "there", self._load, refresh_s=100.0, stale_s=1000.0, retry_s=10.0, clock=lambda: self.now_s
        )

    def _load(self) -> Reading:
        assert self.gate.wait(30)
        if isinstance(self.document, Exception):
            raise self.document
        return Reading(self.document, self.age_s)

    async def settled(self) -> KeySet | None:
        """What there is once no reading is under way."""
        await until(lambda: self.keys._reading is None)
        return self.keys._keys


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    one = Publisher()
    yield one
    one.gate.set()


def ids(keys: KeySet | None) -> list[str | None] | None:
    return None if keys is None else [one.id for one in keys.keys]


def test_first_request_waits_and_the_others_share_its_reading(publisher: Publisher) -> None:
    async def main() -> None:
        publisher.gate.clear()
        assert publisher.keys.current() is None
        waiting = [background(publisher.keys.newer()) for _ in range(50)]
        await asyncio.sleep(0)
        publisher.gate.set()
        assert {id(one) for one in await asyncio.gather(*waiting)} == {id(publisher.keys.current())}
        assert ids(publisher.keys.current()) == ["old"]
        assert publisher.keys.readings == 1

    run(main())


def test_keys_that_others_read_earlier_are_as_old_as_they_are(publisher: Publisher) -> None:
    async def main() -> None:
        publisher.age_s = 50.0
        await publisher.keys.newer()
        publisher.now_s += 51.0
        publisher.age_s = 0.0
        assert ids(publisher.keys.current()) == ["old"]
        assert publisher.keys.readings == 2, "the age at which they are read again has come"
        await publisher.settled()
        publisher.now_s += 51.0
        publisher.keys.current()
        assert publisher.keys.readings == 2

    run(main())


def test_keys_are_read_again_beside_the_requests(publisher: Publisher) -> None:
    async def main() -> None:
        first = await publisher.keys.newer()
        publisher.now_s += 89.0
        assert publisher.keys.current() is first and publisher.keys.readings == 1
        publisher.now_s += 12.0
        publisher.gate.clear()
        publisher.document = NEW.jwks
        for _ in range(20):
            assert publisher.keys.current() is first  # nobody waits for them
        publisher.gate.set()
        assert ids(await publisher.settled()) == ["new"]
        assert publisher.keys.readings == 2

    run(main())


def test_same_keys_stay_the_same_object(publisher: Publisher) -> None:
    async def main() -> None:
        first = await publisher.keys.newer()
        publisher.now_s += 101.0
        publisher.keys.current()
        assert await publisher.settled() is first
        assert publisher.keys.readings == 2

    run(main())


def test_keys_stay_while_their_publisher_is_away(publisher: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        first = await publisher.keys.newer()
        publisher.document = OSError("nobody there")
        for _ in range(40):
            publisher.now_s += 20.0
            assert publisher.keys.current() is first
            await publisher.settled()
        publisher.now_s += 201.0
        assert publisher.keys.current() is None  # 1,001 s old
        await publisher.settled()
        publisher.document = NEW.jwks
        publisher.now_s += 11.0
        assert ids(await publisher.keys.newer()) == ["new"]

    with caplog.at_level(logging.WARNING):
        run(main())
    assert [getattr(one, "kind", "") for one in caplog.records] == ["keys_unavailable", "keys_available"]
    assert "nobody there" in caplog.records[0].message


@pytest.mark.parametrize("document", [b"", b"<html>", b'{"keys": []}', ValueError("x"), RuntimeError("x")])
def test_what_is_no_key_set_replaces_none(publisher: Publisher, document: bytes | Exception) -> None:
    async def main() -> None:
        first = await publisher.keys.newer()
        publisher.document = document
        publisher.now_s += 101.0
        publisher.keys.current()
        assert await publisher.settled() is first
        assert publisher.keys.readings == 2

    run(main())


def test_unknown_keys_cost_one_reading_an_interval(publisher: Publisher) -> None:
    async def main() -> None:
        await publisher.keys.newer()
        for _ in range(100):
            assert not publisher.keys.may_have_newer
            assert ids(await publisher.keys.newer()) == ["old"]
        assert publisher.keys.readings == 1
        publisher.now_s += 10.0
        assert publisher.keys.may_have_newer
        publisher.document = NEW.jwks
        assert ids(await publisher.keys.newer()) == ["new"]
        assert publisher.keys.readings == 2

    run(main())


def test_after_a_failure_there_is_a_pause(publisher: Publisher) -> None:
    async def main() -> None:
        publisher.document = OSError("away")
        for _ in range(100):
            assert await publisher.keys.newer() is None
            assert publisher.keys.current() is None
        assert publisher.keys.readings == 1
        publisher.now_s += 10.0
        publisher.document = OLD.jwks
        assert ids(await publisher.keys.newer()) == ["old"]

    run(main())


def test_pauses_after_failures_double_up_to_the_interval(publisher: Publisher) -> None:
    async def main() -> None:
        publisher.document = OSError("away")
        tried = []
        for second in range(40):
            await publisher.keys.newer()
            if len(tried) < publisher.keys.readings:
                tried.append(second)
            publisher.now_s += 1.0
        assert tried == [0, 1, 3, 7, 15, 25, 35]

    run(main())


def test_who_gives_up_ends_nobody_elses_reading(publisher: Publisher) -> None:
    async def main() -> None:
        publisher.gate.clear()
        one = background(publisher.keys.newer())
        other = background(publisher.keys.newer())
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        publisher.gate.set()
        assert ids(await other) == ["old"]

    run(main())


def test_secret_has_nothing_newer() -> None:
    keys = SecretKeys(SECRET.encode())
    assert keys.current() is not None and not keys.may_have_newer
    assert run(keys.newer()) is keys.current()
    assert SECRET not in repr(keys)
