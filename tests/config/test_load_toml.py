"""TOML with positions: values are tomllib's, and every one of them has its place."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.load import load_text

TEXT = '''\
top = 1
a."b c".d = "x"
[server]
list = [1, # one
  2,
  { x = 3 } ]
[[routes]]
name = """
two lines"""
[routes.sub]
"quoted" = 'é' # é
after = { "é" = 1, z = 2 }
[[routes]]
name = 2
[[routes.inner]]
[[routes.inner]]
last = true
'''


@pytest.mark.parametrize(
    ("path", "position"),
    [
        (("top",), (1, 1)),
        (("a",), (2, 1)),
        (("a", "b c", "d"), (2, 1)),
        (("server",), (3, 1)),
        (("server", "list", 0), (4, 9)),
        (("server", "list", 1), (5, 3)),
        (("server", "list", 2, "x"), (6, 5)),
        (("routes",), (7, 1)),
        (("routes", 0), (7, 1)),
        (("routes", 0, "name"), (8, 1)),
        (("routes", 0, "sub"), (10, 1)),
        (("routes", 0, "sub", "quoted"), (11, 1)),
        (("routes", 0, "sub", "after", "z"), (12, 20)),
        (("routes", 1), (13, 1)),
        (("routes", 1, "inner", 0), (15, 1)),
        (("routes", 1, "inner", 1, "last"), (17, 1)),
    ],
)
def test_position(path: tuple[str | int, ...], position: tuple[int, int]) -> None:
    source = load_text(TEXT, file="x")
    assert source.tree == tomllib.loads(TEXT)
    assert source.position(path) == position


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = \n", 1), ("\n\nb = = 1\n", 3), ("[a\n", 1), ('a = "', 1), ("a = 1\nb", 2), ("a = 1\na.b = 2", 2)],
)
def test_syntax_error_has_its_line(text: str, line: int) -> None:
    source = load_text(text, file="x")
    assert source.tree is None
    assert [finding.line for finding in source.findings] == [line]
    assert source.findings[0].message.startswith("is not TOML: ")


def test_what_is_given_twice_is_left_out_the_second_time() -> None:
    source = load_text("a = 1\na = 2\n[t]\nx = 1\n[t]\ny = 1\n[u]\nb.c = 1\nb.c = 2\n", file="x")
    assert source.tree == {"a": 1, "t": {"x": 1}, "u": {"b": {"c": 1}}}
    assert [(f.line, f.path, f.message) for f in source.findings] == [
        (2, "a", "is given twice; first in line 1"),
        (5, "t", "is given twice; first in line 3"),
        (9, "u.b.c", "is given twice; first in line 8"),
    ]


def test_deep_nesting_is_a_finding() -> None:
    for text in ("a = " + "[" * 5000 + "]" * 5000, "a = " + "{a = " * 3000 + "1" + "}" * 3000):
        source = load_text(text, file="x")
        assert "nested too deeply" in source.findings[0].message


KEY = st.text(alphabet='ab_-. é"\\#=', min_size=1, max_size=4)
VALUE = st.recursive(
    st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=10,
)


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


def inline(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case list():
            return f"[{', '.join(map(inline, value))}]"
        case dict():
            return f"{{{', '.join(f'{quoted(key)} = {inline(one)}' for key, one in value.items())}}}"
    return str(value)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [deeper for key, one in items for deeper in [(*path, key), *paths(one, (*path, key))]]


@given(st.dictionaries(KEY, VALUE, max_size=4), st.lists(st.dictionaries(KEY, VALUE, max_size=3), max_size=3))
def test_every_value_that_tomllib_sees_has_a_position(table: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    lines = ["[table]", *(f"{quoted(key)} = {inline(value)}" for key, value in table.items())]
    for row in rows:
        lines += ["[[rows]]", *(f"{quoted(key)} = {inline(value)}" for key, value in row.items())]
    source = load_text("\n".join(lines), file="x")
    assert source.tree == {"table": table} | ({"rows": rows} if rows else {})
    known = source.find_positions()
    assert set(paths(source.tree)) <= set(known)
