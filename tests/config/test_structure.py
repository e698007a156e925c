"""Shape: what is wrong is told once, left out, and what is left keeps its place in the file."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.config.gateways import LISTENER, PLAIN, ROUTE, UPSTREAM, found, told

from tidegate.config.check import check_text
from tidegate.config.load import Source, load_text
from tidegate.config.schema import Gateway, Upstream
from tidegate.config.structure import shape


def shaped(text: str) -> tuple[Source, Any]:
    source = load_text(text, file="x")
    assert source.tree is not None
    return source, shape(source, Gateway, source.tree, Path("/"))


def test_what_is_wrong_is_left_out_and_the_rest_stays() -> None:
    source, result = shaped(LISTENER + "backlog = true\nmax_headers = 50\n")
    assert [finding.path for finding in source.findings] == ["listeners[0].backlog"]
    assert result.section.listeners[0].max_headers == 50
    assert result.lost == {("listeners", 0, "backlog")}


def test_what_lacks_a_part_goes_as_a_whole() -> None:
    _, result = shaped(UPSTREAM + "[upstreams.b]\n")
    assert list(result.section.upstreams) == ["app"]


def test_places_of_a_list_that_lost_elements_are_those_of_the_file() -> None:
    _, result = shaped('routes = [1, { name = "a" }, 2, { name = "b", hosts = [3, "h"] }]')
    assert [route.name for route in result.section.routes] == ["a", "b"]
    assert result.original(("routes", 1, "hosts", 0)) == ("routes", 3, "hosts", 1)


def test_rules_speak_of_lines_after_what_was_left_out() -> None:
    text = PLAIN + '[[routes]]\npath = "/x"\n[[routes]]\nname = "late"\npath = "/y"\nupstream = "ap"\n'
    assert [(finding.line, finding.path) for finding in found(text)] == [
        (8, "routes[1].name"),
        (13, "routes[2].upstream"),
    ]


def test_what_was_left_out_of_a_route_is_not_held_against_others() -> None:
    """Without its path the first would take everything, and hide the second."""
    text = LISTENER + UPSTREAM + '[[routes]]\nname = "a"\npath = 5\nupstream = "app"\npriority = 1\n' + ROUTE
    assert [finding.split(":")[0] for finding in told(text)] == ["routes[0].path"]


def test_unknown_field_is_not_offered_what_is_there_already() -> None:
    (finding,) = found(PLAIN + '[upstreams.b]\nendpoints = ["a:1"]\nendpoint = ["a:1"]\n')
    assert finding.suggestion == ""


def test_a_table_may_be_shaped_by_itself() -> None:
    source = Source("x")
    result = shape(source, Upstream, {"endpoints": ["a:1"], "x": 1}, Path("/"), ("upstreams", "a"))
    assert result.section is not None
    assert [finding.path for finding in source.findings] == ["upstreams.a.x"]


NAMES = """
    server listeners upstreams filters routes access_log name bind endpoints address pool max tls certificates cert key
    path hosts methods headers redirect to respond upstream class rewrite regex replace timeout workers admin a X-A
"""
WORDS = """
    a a:1 127.0.0.1:80 unix:/a 5s 1KiB off /a/* /{x} ~( ~a GET p2c auto a.b:C tidegate.filters:X {x} * /%2F ~^(?=a) -
    10.0.0.0/8 [::1]:80 client.ip header:X *.example.com env:HOME 0660 1.2
"""
KEYS = st.sampled_from(NAMES.split())
LEAVES = st.sampled_from([True, 0, -1, 1.5, None, "", "\x00", "\n", "é", "a b", *WORDS.split()])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=30
)


@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_any_tree_gives_findings_or_a_snapshot_and_never_raises(tree: dict[str, Any]) -> None:
    judged(tree)


def judged(tree: dict[str, Any]) -> None:
    snapshot, findings = check_text(json.dumps(tree), is_yaml=True)
    assert (snapshot is None) == any(finding.severity == "error" for finding in findings)
    assert len({(f.path, f.message) for f in findings}) == len(findings), "told twice"
    assert all(finding.message and finding.line > 0 for finding in findings)


CASES = [
    load_text(path.read_text(), file=path.name).tree or {} for path in (Path(__file__).parent / "cases").glob("*.toml")
]


@given(st.sampled_from(CASES), st.data())
def test_any_change_of_a_case_never_raises(case: dict[str, Any], data: st.DataObject) -> None:
    tree = json.loads(json.dumps(case))
    for _ in range(data.draw(st.integers(1, 4))):
        at: Any = tree
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            inner = at[key]
            if isinstance(inner, dict | list) and data.draw(st.integers(0, 4)):
                at = inner
                continue
            if data.draw(st.booleans()):
                del at[key]
            else:
                at[key] = data.draw(TREES)
            break
    judged(tree)
