"""YAML: core schema of 1.2, positions, and what is refused."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.load import load_text


def tree(text: str) -> Any:
    source = load_text(text, file="x", is_yaml=True)
    assert source.findings == []
    return source.tree


def told(text: str) -> list[tuple[int, str]]:
    return [(f.line, f"{f.path}: {f.message}") for f in load_text(text, file="x", is_yaml=True).findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"), ("no", "no"), ("yes", "yes"), ("on", "on"), ("true", True), ("False", False), ("~", None),
        ("", None), ("12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31), ("017", 17), ("1:30", "1:30"), ("1.5", 1.5),
        ("1e3", 1000.0), ("2001-01-01", "2001-01-01"), ("'12'", "12"), ('"true"', "true"), ("250ms", "250ms"),
        ("1_000", "1_000"), ("|\n  a\n  b", "a\nb\n"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(text: str, value: Any) -> None:
    assert tree(f"a: {text}\n") == {"a": value}


def test_empty_file_is_an_empty_table() -> None:
    assert tree("") == {} == tree("# nothing\n")


def test_positions_are_those_of_keys_and_elements() -> None:
    source = load_text("a:\n  b: 1\nc:\n- x\n- y: 2\n  z: 3\n- [1, 2]\n", file="x", is_yaml=True)
    found = {
        path: source.position(path) for path in [("a",), ("a", "b"), ("c", 0), ("c", 1), ("c", 1, "z"), ("c", 2, 1)]
    }
    assert list(found.values()) == [(1, 1), (2, 3), (4, 3), (5, 3), (6, 3), (7, 7)]


def test_aliases_are_copies() -> None:
    assert tree("a: &x {n: [1]}\nb: *x\nc: &y 5\nd: *y\n") == {"a": {"n": [1]}, "b": {"n": [1]}, "c": 5, "d": 5}
    loaded = tree("a: &x {n: [1]}\nb: *x\n")
    assert loaded["a"] is not loaded["b"]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, "a: is given twice; first in line 1")),
        (
            "a: !!python/object:os.system {}\n",
            (1, ": has the tag tag:yaml.org,2002:python/object:os.system; no tags are read"),
        ),
        ("a: !secret x\n", (1, ": has the tag !secret; no tags are read")),
        ("a: 1\n---\nb: 2\n", (2, ": has a second document, which nothing would read")),
        ("- a\n", (1, ": is not a table of options")),
        ("text", (1, ": is not a table of options")),
        ("a: &x [*x]\n", (1, "a: refers to *x inside itself or before it is there")),
        ("? [1, 2]\n: 3\n", (1, ": has a table or list for a name")),
    ],
)
def test_what_is_refused(text: str, finding: tuple[int, str]) -> None:
    assert told(text)[0] == finding


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1\nb: 2\n", 2), ("a: 'x\n", 2), ("a: 1\n\tb: 2\n", 2), ("a: b: c\n", 1), ("a: *x\n", 1)]
)
def test_syntax_error_has_its_line(text: str, line: int) -> None:
    findings = told(text)
    assert findings and findings[0][0] == line


def test_aliases_cannot_stand_for_a_billion_values() -> None:
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    started = time.process_time()
    assert any("stands for more than" in message for _, message in told("\n".join(rows)))
    assert time.process_time() - started < 10


def test_deep_nesting_is_a_finding() -> None:
    assert "nested too deeply" in told("a: " + "[" * 100_000)[0][1]


TEXT = st.text(alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=5)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, PLAIN, max_size=4))
def test_json_is_read_as_what_it_is(value: dict[str, Any]) -> None:
    """JSON is YAML 1.2, but for surrogate pairs (which libyaml refuses) and keys longer than 128 characters."""
    assert load_text(json.dumps(value), file="x", is_yaml=True).tree == value
