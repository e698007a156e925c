"""Caches as a whole."""

from __future__ import annotations

from tests.config.gateways import PLAIN, accepted, told


def test_an_option_that_another_makes_useless_is_told() -> None:
    text = PLAIN + '[cache.prices]\nstale_while_revalidate = "1m"\nstale_if_error = '
    (message,) = told(text + '"1m"\n')
    assert message.startswith("cache.prices.stale_if_error: has no effect")
    accepted(text + '"61s"\n')


def test_more_memory_than_there_is_is_told() -> None:
    (message,) = told("[server]\nworkers = 4\n" + PLAIN + '[cache.a]\nmemory = "100TiB"\n[cache.b]\n')
    assert message.startswith("cache: the caches of 4 workers may take ") and "that this machine has" in message
