"""[redis.NAME]: URLs, and what stands beside them."""

from __future__ import annotations

import pytest
from tests.config.gateways import PLAIN, accepted, told

from tidegate.config.redis import RedisTarget, parse_redis_url
from tidegate.config.values import Address


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("redis://127.0.0.1:6380/3", RedisTarget(Address("127.0.0.1", 6380), database=3)),
        ("redis://cache.internal", RedisTarget(Address("cache.internal", 6379))),
        ("rediss://gate@cache.internal/1", RedisTarget(Address("cache.internal", 6379), True, "gate", 1)),
        ("redis://[::1]:7000/", RedisTarget(Address("::1", 7000))),
        ("unix:///run/redis.sock?db=2", RedisTarget(Address(path="/run/redis.sock"), database=2)),
        ("unix:///run/redis.sock", RedisTarget(Address(path="/run/redis.sock"))),
    ],
)
def test_url_says_where_and_as_whom(text: str, target: RedisTarget) -> None:
    assert parse_redis_url(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:6379",
        "http://127.0.0.1",
        "redis://",
        "redis://127.0.0.1:0x1",
        "redis://127.0.0.1:99999",
        "redis://127.0.0.1/one",
        "redis://127.0.0.1/-1",
        "redis://127.0.0.1?db=1",
        "redis://bad host",
        "unix://run/redis.sock",
        "unix:///run/redis.sock?db=x",
    ],
)
def test_url_that_is_none_is_a_finding(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_redis_url(text)
    assert len(told(PLAIN + f'[redis.main]\nurl = "{text}"\n')) == 1


def test_password_in_a_url_is_refused_and_not_shown() -> None:
    (message,) = told(PLAIN + '[redis.main]\nurl = "redis://u:hunter2@127.0.0.1"\n')
    assert "hunter2" not in message and "env:NAME" in message


def test_password_is_a_reference_only(monkeypatch: pytest.MonkeyPatch) -> None:
    main = PLAIN + '[redis.main]\nurl = "redis://127.0.0.1"\npassword = '
    (message,) = told(main + '"hunter2"\n')
    assert "hunter2" not in message
    assert "is not set" in told(main + '"env:TIDEGATE_TEST_ABSENT"\n')[0]
    monkeypatch.setenv("TIDEGATE_TEST_PASSWORD", "hunter2")
    assert accepted(main + '"env:TIDEGATE_TEST_PASSWORD"\n').redis["main"].password == "env:TIDEGATE_TEST_PASSWORD"


def test_the_remedies_of_the_incidents_are_accepted_as_they_were_written() -> None:
    text = '[redis.main]\nurl = "redis://127.0.0.1"\nbatch = 3\nlinger = "5ms"\npool = { max = 400, wait = 100000 }\n'
    main = accepted(PLAIN + text).redis["main"]
    assert (main.batch, main.linger, main.pool.max, main.pool.wait) == (3, 0.005, 400, 100_000)
    (warning,) = told(PLAIN + text.replace("max = 400", "max = 400, idle = 300"))
    assert warning.startswith("redis.main.pool.idle: has no effect")
