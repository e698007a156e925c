"""Declarations as values: what an option expects, in words, and how its value is spelt."""

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Le

from tidegate.config.declarations import choices, declared, declared_at, expectation, section_in, spelling, walk
from tidegate.config.kinds import Duration, File, Off, Ref, Size
from tidegate.config.schema import Certificate, Gateway, Listener, ListenerTLS, Pool, Route, Server, Upstream


def annotation(section: type, name: str):
    return declared(section)[name].annotation


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (Annotated[int, Ge(1)], "a whole number from 1"),
        (Annotated[int, Ge(1), Le(5)], "a whole number from 1 to 5"),
        (bool, "true or false"),
        (Literal["a"], '"a"'),
        (Literal["a", "b", 3], '"a", "b" or 3'),
        (tuple[str, ...], "a list, each text"),
        (Annotated[float | None, Duration(), Off()], 'a duration such as "250ms", or "off"'),
        (Annotated[int, Ge(1)] | Literal["auto"], 'a whole number from 1 or "auto"'),
        (dict[str, int], "a table"),
        (Pool, "a table"),
        (str | None, "text"),
    ],
)
def test_expectation_in_words(annotation, words: str) -> None:
    assert expectation(annotation) == words


def test_choices_are_the_words_that_may_be_written() -> None:
    assert choices(annotation(Upstream, "balance"))[:2] == ["round_robin", "least_request"]
    assert choices(annotation(Pool, "max_age")) == ["off"]
    assert choices(annotation(Server, "workers")) == ["auto"]


def test_section_behind_an_option() -> None:
    assert section_in(annotation(Gateway, "listeners")) is Listener
    assert section_in(annotation(Gateway, "upstreams")) is Upstream
    assert section_in(annotation(Listener, "tls")) is ListenerTLS
    assert section_in(annotation(Listener, "bind")) is None
    assert section_in(annotation(Route, "path_form")) is None


def test_declaration_at_a_path() -> None:
    assert expectation(declared_at(Gateway, ("upstreams", "x", "pool", "max"))).startswith("a whole number")
    assert expectation(declared_at(Gateway, ("routes", 3, "methods", 0))) == 'a method such as "GET"'
    assert declared_at(Gateway, ("nothing",)) is None
    assert declared_at(Gateway, ("server", "workers", "x")) is None


@pytest.mark.parametrize(
    ("value", "annotation", "spelt"),
    [
        (0.25, Annotated[float, Duration()], '"250ms"'),
        (65536, Annotated[int, Size()], '"64KiB"'),
        (None, Annotated[int | None, Size(), Off()], '"off"'),
        (None, str | None, ""),
        (("a", "b"), tuple[str, ...], '["a", "b"]'),
        ((0.25,), tuple[Annotated[float, Duration()], ...], '["250ms"]'),
        ({"a": "b"}, None, '{ a = "b" }'),
        (True, bool, "true"),
    ],
)
def test_value_is_spelt_as_in_the_file(value, annotation, spelt: str) -> None:
    assert spelling(value, annotation) == spelt


def test_walk_finds_marked_values_at_any_depth() -> None:
    gateway = Gateway(
        listeners=(Listener(bind="a:1", tls=ListenerTLS(certificates=(Certificate(cert="c", key="k"),))),),
        routes=(Route(name="a", upstream="u", filters=("f", "g")), Route(name="b")),
    )
    assert [(path, value) for path, _, value in walk(gateway, File)][:2] == [
        (("listeners", 0, "tls", "certificates", 0, "cert"), "c"),
        (("listeners", 0, "tls", "certificates", 0, "key"), "k"),
    ]
    assert [(path, mark.table, value) for path, mark, value in walk(gateway, Ref)] == [
        (("routes", 0, "upstream"), "upstreams", "u"),
        (("routes", 0, "filters", 0), "filters", "f"),
        (("routes", 0, "filters", 1), "filters", "g"),
    ]
