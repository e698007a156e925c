"""Caches as a whole."""

from __future__ import annotations

from pathlib import Path

from tests.config.gateways import PLAIN, accepted, told


def test_an_option_that_another_makes_useless_is_told() -> None:
    text = PLAIN + '[cache.prices]\nstale_while_revalidate = "1m"\nstale_if_error = '
    (message,) = told(text + '"1m"\n')
    assert message.startswith("cache.prices.stale_if_error: has no effect")
    accepted(text + '"61s"\n')


REDIS = PLAIN + '[redis.main]\nurl = "redis://127.0.0.1:6379/0"\n'


def test_what_needs_redis_and_has_none_is_told() -> None:
    text = PLAIN + "[cache.prices]\n"
    sizes = ('large_value = "1MiB"', 'redis_in_flight = "1MiB"', 'redis_bytes_per_s = "1MiB"')
    for line in ('prefix = "p:"', 'preload_tags = ["hot"]', *sizes):
        (message,) = told(text + line + "\n")
        assert message.startswith(f"cache.prices.{line.split()[0]}: has no effect")
        accepted(REDIS + '[cache.prices]\nredis = "main"\n' + line + "\n")
    (message,) = told(text + 'single_flight = "fleet"\n')
    assert message.startswith("cache.prices.single_flight: ")
    accepted(REDIS + '[cache.prices]\nredis = "main"\nsingle_flight = "fleet"\n')
    (message,) = told(text + 'redis = "other"\n')
    assert message.startswith("cache.prices.redis: no redis is named")


def test_a_prefix_that_takes_the_hash_tags_of_keys_away_is_told() -> None:
    cache = '[cache.prices]\nredis = "main"\nprefix = '
    (message,) = told(REDIS + "cluster = true\n" + cache + '"p{}:"\n')
    assert message.startswith("cache.prices.prefix: has `{}`")
    accepted(REDIS + "cluster = true\n" + cache + '"p{all}:{}"\n')
    accepted(REDIS + cache + '"p{}:"\n')


def test_a_preload_that_has_nowhere_to_look_is_told() -> None:
    text = '[cache.prices]\npreload = ["a"]\n'
    (message,) = told(PLAIN + text)
    assert message.startswith("cache.prices.preload: has no effect")
    accepted(PLAIN + text + 'machine = "1MiB"\n')
    accepted(REDIS + text + 'redis = "main"\n')


def test_a_watched_source_is_in_redis_and_leaves_other_options_nothing_to_do() -> None:
    watch = '[cache.prices]\nwatch = "price:"\n'
    (message,) = told(PLAIN + watch)
    assert message.startswith("cache.prices.watch: needs `redis`")
    watch += 'redis = "main"\n'
    accepted(REDIS + watch + 'machine = "1MiB"\n')
    (message,) = told(REDIS + watch.replace("price:", ""))
    assert message.startswith("cache.prices.watch: is empty")
    for line in ('prefix = "p:"', 'preload = ["a"]', 'large_value = "1MiB"', 'single_flight = "worker"'):
        (message,) = told(REDIS + watch + line + "\n")
        assert message.startswith(f"cache.prices.{line.split()[0]}: has no effect with a source that is watched")


def test_a_watched_file_is_the_only_source_and_has_objects(tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_text("{}")
    watch = f'[cache.prices]\nwatch_file = "{tmp_path}/prices.json"\n'
    accepted(PLAIN + watch + 'codec = "json"\nmachine = "1MiB"\n')
    (message,) = told(PLAIN + watch)
    assert message.startswith('cache.prices.watch_file: needs `codec = "json"`')
    (message,) = told(REDIS + watch + 'codec = "json"\nredis = "main"\n')
    assert message.startswith("cache.prices.watch_file: is a source, and `redis` another one")
    (message,) = told(PLAIN + watch.replace("prices.json", "nothing.json") + 'codec = "json"\n')
    assert "nothing.json cannot be read" in message


def test_a_wait_that_is_longer_than_any_fetch_is_told() -> None:
    (message,) = told(PLAIN + '[cache.prices]\nwait = "31s"\n')
    assert message.startswith("cache.prices.wait: is longer than")


def test_more_memory_than_there_is_is_told() -> None:
    (message,) = told("[server]\nworkers = 4\n" + PLAIN + '[cache.a]\nmemory = "100TiB"\n[cache.b]\n')
    assert message.startswith("cache: the caches of 4 workers may take ") and "that this machine has" in message
