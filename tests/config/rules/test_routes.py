"""Routes as a whole; cases/routes.toml, paths.toml, regexes.toml and unreachable.toml have the findings."""

import time

import pytest
from tests.config.gateways import LISTENER, PLAIN, UPSTREAM, accepted, told


@pytest.mark.parametrize(
    "rest",
    [
        'path = "/users/{id}/*"\nupstream = "app"\nrewrite = { path = "/u/{id}{*}" }\n',
        'path = "~^/(?P<page>[a-z]+)$"\nredirect = { to = "{scheme}://{host}/p/{page}{query}" }\n',
        'path = "/x"\nupstream = "app"\nrewrite = { regex = "^/(x)(y)?", replace = \'/\\2/\\1\' }\n',
        'path = "/a"\nmethods = ["GET"]\nheaders = { X-A = "~^[a-z]+$" }\nupstream = "app"\n',
    ],
)
def test_what_fits_together_is_taken(rest: str) -> None:
    accepted(PLAIN + '[[routes]]\nname = "a"\n' + rest)


def test_more_specific_route_after_a_wider_one_is_reached() -> None:
    accepted(PLAIN + '[[routes]]\nname = "a"\npath = "/a"\nupstream = "app"\n')


def test_same_route_with_other_matchers_is_reached() -> None:
    accepted(PLAIN + '[[routes]]\nname = "a"\nheaders = { X-A = true }\nupstream = "app"\n')


def test_ten_thousand_routes_are_checked_in_a_second_of_work() -> None:
    routes = "".join(
        f'[[routes]]\nname = "r{i}"\nhosts = ["h{i % 100}.example.com"]\npath = "/p{i}/*"\nmethods = ["GET", "POST"]\n'
        f'upstream = "app"\ntimeout = "5s"\n'
        for i in range(10_000)
    )
    started = time.process_time()
    gateway = accepted(LISTENER + UPSTREAM + routes)
    spent = time.process_time() - started
    assert len(gateway.routes) == 10_000
    assert spent < 3, "takes 0.7 s; the bound leaves room for a slow machine, not for a square of the routes"


def test_ten_thousand_equal_routes_are_ten_thousand_findings_in_seconds() -> None:
    routes = "".join(f'[[routes]]\nname = "r{i}"\npath = "/same"\nupstream = "app"\n' for i in range(10_000))
    started = time.process_time()
    findings = told(LISTENER + UPSTREAM + routes)
    assert len(findings) == 9_999
    assert time.process_time() - started < 10
