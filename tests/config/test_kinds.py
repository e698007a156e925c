"""Kinds of values: plain value in the model, spelling in the file and in the manual."""

from pathlib import Path
from typing import Any

import pytest

from tidegate.config import kinds


@pytest.mark.parametrize(
    ("kind", "spelt", "plain"),
    [
        (kinds.Duration(), "250ms", 0.25),
        (kinds.Size(), "64KiB", 65536),
        (kinds.Address(), "LOCALHOST:80", "localhost:80"),
        (kinds.IP(), "::0", "::"),
        (kinds.Network(), "10.0.0.0/8", "10.0.0.0/8"),
        (kinds.Network(), "10.0.0.1", "10.0.0.1/32"),
        (kinds.Mode(), "0660", 0o660),
        (kinds.Mode(), "660", 0o660),
        (kinds.FieldName(), "X-Plan", "X-Plan"),
        (kinds.CookieName(), "session", "session"),
        (kinds.FieldValue(), "a b\tc", "a b\tc"),
        (kinds.Method(), "GET", "GET"),
        (kinds.Host(), "A.b", "a.b"),
        (kinds.Path(), "/a/*", "/a/*"),
        (kinds.Prefix(), "/api", "/api"),
        (kinds.Template(), "/a/{id}", "/a/{id}"),
        (kinds.Match(), True, True),
        (kinds.Key(), "header:X-User", "header:X-User"),
        (kinds.Key(), "client.ip", "client.ip"),
        (kinds.Ref("upstreams"), "a", "a"),
        (kinds.Regex(), "(", "("),
        (kinds.Secret(), "env:A", "env:A"),
        (kinds.File(), "a.pem", "a.pem"),
    ],
)
def test_value_is_read(kind: kinds.Kind, spelt: Any, plain: Any) -> None:
    assert kind.read(spelt) == plain


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (kinds.Duration(), "0ms"),
        (kinds.Duration(longest=1), "2s"),
        (kinds.Size(smallest=10), "9B"),
        (kinds.IP(), "host"),
        (kinds.Network(), "10.0.0.1/8"),
        (kinds.Mode(), "0888"),
        (kinds.Mode(), 432),
        (kinds.FieldName(), "a b"),
        (kinds.FieldName(), ""),
        (kinds.FieldValue(), "a\r\nb"),
        (kinds.FieldValue(), " a"),
        (kinds.Method(), "get"),
        (kinds.Method(), "CONNECT"),
        (kinds.Prefix(), "/"),
        (kinds.Prefix(), "/a/"),
        (kinds.Prefix(), "/a/{id}"),
        (kinds.Template(), "a"),
        (kinds.Template(), "/a b"),
        (kinds.Match(), 1),
        (kinds.Match(), "~"),
        (kinds.Key(), "header"),
        (kinds.Key(), "cookie:"),
        (kinds.Key(), "client.ip:x"),
        (kinds.File(), ""),
    ],
)
def test_what_does_not_fit_is_refused(kind: kinds.Kind, value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.read(value)


TEXTUAL = [
    kind
    for kind in vars(kinds).values()
    if isinstance(kind, type)
    and issubclass(kind, kinds.Kind)
    and kind not in (kinds.Kind, kinds.Match, kinds.Account)  # the last: a user may be a number
]


@pytest.mark.parametrize("kind", TEXTUAL)
def test_every_textual_kind_refuses_what_is_no_text(kind: type[kinds.Kind]) -> None:
    one = kind("upstreams") if kind is kinds.Ref else kind()  # type: ignore[call-arg]
    for value in (3, 2.5, True, None, [], {}):
        with pytest.raises(ValueError, match="expected"):
            one.read(value)


def test_shown_value_is_read_back() -> None:
    assert kinds.Duration().show(90.0) == '"90s"'
    assert kinds.Size().show(1 << 30) == '"1GiB"'
    assert kinds.Mode().show(0o660) == '"0660"'


def test_relative_path_begins_at_the_directory_of_the_file() -> None:
    at = Path("/etc/tidegate")
    assert kinds.File().place("a.pem", at) == "/etc/tidegate/a.pem"
    assert kinds.File().place("/a.pem", at) == "/a.pem"
    assert kinds.LogFile().place("-", at) == "-"
    assert kinds.LogFile().place("a.log", at) == "/etc/tidegate/a.log"
    assert kinds.Secret().place("file:key", at) == "file:/etc/tidegate/key"
    assert kinds.Secret().place("env:KEY", at) == "env:KEY"
    assert kinds.Duration().place(1.0, at) == 1.0


def test_values_are_described_in_words() -> None:
    words = [kinds.describe(value) for value in (True, 3, "a", "a" * 100, [], {}, None)]
    assert words == ["true", "the number 3", '"a"', f'"{"a" * 57}…"', "a list", "a table", "nothing"]
