import dataclasses
import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.routing.oracle import Request, captures, choose

from tidegate.routing.router import LookUp, Router
from tidegate.routing.spec import CAPTURES_MAX, SEGMENTS_MAX, RouteSpec

pytestmark = pytest.mark.sanitize


def ask(router: Router, request: Request) -> LookUp:
    return router.look_up(
        request.method.encode(),
        request.host.encode(),
        request.path.encode(),
        "&".join(f"{name}={value}" for name, value in request.query).encode(),
        [(name.encode(), value.encode()) for name, value in request.headers],
    )


def at(path: str, *patterns: str) -> str | None:
    router = Router([RouteSpec(name=pattern, path=pattern) for pattern in patterns])
    return router.look_up(b"GET", b"a.test", path.encode()).name


@pytest.mark.parametrize("path", ["/a", "/a/", "/a/b", "/a/b/c/"])
def test_prefix_takes_its_own_name_and_everything_below(path: str) -> None:
    assert at(path, "/a/*") == "/a/*"


@pytest.mark.parametrize("path", ["/", "/ab", "/b/a", "/A", "*", "", "a"])
def test_prefix_ends_at_a_slash(path: str) -> None:
    assert at(path, "/a/*") is None


@pytest.mark.parametrize("path", ["/a/", "/a/b", "/", "/aa", "/A"])
def test_exact_path_is_exact(path: str) -> None:
    assert at(path, "/a") is None
    assert at("/a", "/a") == "/a"


@pytest.mark.parametrize("path", ["/", "/users", "/users/", "/users/1/x", "/users/1/"])
def test_capture_is_one_segment_and_not_empty(path: str) -> None:
    assert at(path, "/users/{id}") is None
    assert at("/users/1", "/users/{id}") == "/users/{id}"


def test_any_takes_what_has_no_segments() -> None:
    assert at("*", "/*") == "/*"


def test_preference_among_paths_is_the_documented_one() -> None:
    patterns = ["/a/b", "/a/{x}", "/{x}/b", "/a/b/*", "/a/*", "/{x}/*", "~^/a", "/*"]
    for first in range(len(patterns)):
        assert at("/a/b", *reversed(patterns[first:])) == patterns[first]


def test_less_specific_route_is_tried_when_the_deeper_one_ends_nowhere() -> None:
    patterns = ("/a/b/c", "/a/{x}/d", "/{y}/b/e", "/*")
    assert [at(path, *patterns) for path in ("/a/b/c", "/a/b/d", "/a/b/e", "/a/b/f")] == list(patterns)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.example", "exact"),
        ("A.EXAMPLE.:8080", "exact"),
        ("b.example", "wildcard"),
        ("x.a.example", "longer wildcard"),
        ("y.x.a.example:1", "longer wildcard"),
        ("example", "any"),
        (".example", "any"),
        ("a.example.org", "any"),
        ("[::1]:80", "address"),
        ("", "any"),
        ("a" * 300 + ".example", "any"),
        ("." * 200, "any"),
    ],
)
def test_host_is_exact_then_the_longer_wildcard_then_any(host: str, name: str) -> None:
    router = Router(
        [
            RouteSpec(name="any"),
            RouteSpec(name="wildcard", hosts=("*.example",)),
            RouteSpec(name="longer wildcard", hosts=("*.a.example",)),
            RouteSpec(name="exact", hosts=("A.example.",)),
            RouteSpec(name="address", hosts=("[0::1]",)),
        ]
    )
    assert router.look_up(b"GET", host.encode(), b"/").name == name


def test_request_that_a_host_has_no_path_for_goes_to_the_wider_host() -> None:
    router = Router([RouteSpec(name="narrow", hosts=("a.test",), path="/a"), RouteSpec(name="wide")])
    assert router.look_up(b"GET", b"a.test", b"/b").name == "wide"


def test_priority_goes_before_all_else() -> None:
    router = Router(
        [
            RouteSpec(name="exact", hosts=("a.test",), path="/a/b"),
            RouteSpec(name="regex", path="~^/a/b", priority=2),
            RouteSpec(name="any", priority=1),
        ]
    )
    assert router.look_up(b"GET", b"a.test", b"/a/b").name == "regex"
    assert router.look_up(b"GET", b"a.test", b"/a").name == "any"


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/u/{id}/p/{post}", b"/u/12/p/a%20b", {"id": b"12", "post": b"a%20b"}),
        ("/{a}/", b"/x/", {"a": b"x"}),
        ("/f/*", b"/f/a/b", {"*": b"a/b"}),
        ("/f/*", b"/f/", {"*": b""}),
        ("/f/*", b"/f", {"*": b""}),
        ("/{a}/f/{b}/*", b"/1/f/2/3/4/", {"a": b"1", "b": b"2", "*": b"3/4/"}),
        ("/{a}/f/{b}/*", b"/1/f/2", {"a": b"1", "b": b"2", "*": b""}),
        ("/*", b"/a/b", {"*": b"a/b"}),
        ("/*", b"*", {"*": b""}),
        ("~^/x/(?P<n>[0-9]+)(?:/(?P<m>.+))?$", b"/x/12/y", {"n": b"12", "m": b"y"}),
        ("~^/x/(?P<n>[0-9]+)(?:/(?P<m>.+))?$", b"/x/12", {"n": b"12", "m": b""}),
        ("~(unnamed)", b"/unnamed", {}),
    ],
)
def test_captures_are_named(pattern: str, path: bytes, found: dict[str, bytes]) -> None:
    router = Router([RouteSpec(name="r", path=pattern), RouteSpec(name="below", path="/*", priority=-1)])
    look_up = router.look_up(b"GET", b"", path)
    assert (look_up.name, look_up.captures) == ("r", found)


def test_most_captures_that_a_pattern_may_have() -> None:
    pattern = "".join(f"/{{c{i}}}" for i in range(CAPTURES_MAX - 1)) + "/*"
    path = "".join(f"/{i}" for i in range(CAPTURES_MAX + 3))
    found = Router([RouteSpec(name="r", path=pattern)]).look_up(b"GET", b"", path.encode()).captures
    assert found == {**{f"c{i}": b"%d" % i for i in range(CAPTURES_MAX - 1)}, "*": b"15/16/17/18"}


def test_deepest_pattern_that_there_may_be() -> None:
    router = Router([RouteSpec(name="whole", path="/a" * SEGMENTS_MAX), RouteSpec(name="rest", path="/a" * 63 + "/*")])
    names = [router.look_up(b"GET", b"", b"/a" * depth).name for depth in (62, 63, 64, 65)]
    assert names == [None, "whole", "rest", "rest"]


def test_captures_of_a_regex_that_another_route_beats_are_not_handed_out() -> None:
    routes = [
        RouteSpec(name="regex", hosts=("a.test",), path="~^/(?P<x>.)"),
        RouteSpec(name="any", path="/{y}", priority=1),
    ]
    assert Router(routes).look_up(b"GET", b"a.test", b"/z").captures == {"y": b"z"}


def test_refused_method_names_those_that_would_do() -> None:
    router = Router(
        [
            RouteSpec(name="get", path="/a", methods=("GET",)),
            RouteSpec(name="post", path="/*", methods=("POST", "PURGE")),
            RouteSpec(name="beta", path="/a", methods=("PATCH",), headers={"X-Beta": True}),
            RouteSpec(name="elsewhere", hosts=("b.test",), methods=("PUT",)),
        ]
    )
    assert router.look_up(b"HEAD", b"a.test", b"/a").name == "get"
    assert router.look_up(b"PURGE", b"a.test", b"/a").name == "post"
    assert router.look_up(b"DELETE", b"a.test", b"/a").allowed == ("GET", "HEAD", "POST", "PURGE")
    assert router.look_up(b"purge", b"a.test", b"/b").allowed == ("POST", "PURGE")
    assert router.look_up(b"DELETE", b"b.test", b"/b").allowed == ("POST", "PUT", "PURGE")


def test_method_is_not_to_blame_where_something_else_does_not_fit() -> None:
    router = Router([RouteSpec(name="r", methods=("GET",), headers={"X-Beta": "1"})])
    assert router.look_up(b"PUT", b"", b"/").allowed == ()


def test_wider_route_takes_the_methods_that_the_narrow_one_refuses() -> None:
    router = Router([RouteSpec(name="narrow", path="/a", methods=("GET",)), RouteSpec(name="wide", path="/*")])
    assert router.look_up(b"POST", b"", b"/a").name == "wide"


def test_router_without_routes_finds_nothing() -> None:
    assert Router([]).look_up(b"GET", b"a.test", b"/") == LookUp(None, None, {}, (), 1)


def test_target_is_handed_out_as_it_is() -> None:
    target = object()
    router = Router([RouteSpec(name="r", target=target)])
    assert router.look_up(b"GET", b"", b"/").target is target


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (RouteSpec(name="bad", path="~("), 'route "bad": RE2 does not take'),
        (RouteSpec(name="bad", headers={"a": "~(?=a)"}), 'route "bad": RE2 does not take'),
        (RouteSpec(name="bad", path="~" + "".join(f"(?P<c{i}>a)" for i in range(17))), 'route "bad": .* 16 captures'),
        (RouteSpec(name="bad", hosts=("a b",)), 'route "bad": expected a host'),
    ],
)
def test_what_is_no_route_is_named(spec: RouteSpec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Router([RouteSpec(name="good"), spec])


def test_statistics_tell_the_size() -> None:
    router = Router(
        [RouteSpec(name="r", hosts=("a.test", "*.b.test"), path="/a/{b}/*"), RouteSpec(name="s", path="~x")]
    )
    assert repr(router) == "<Router 3 places at 2 hosts, 7 nodes>"
    assert router.statistics()._replace(longest_run=0) == (3, 2, 7, 1, 2, 0)


# -- against the documented order as a plain scan ----------------------------------------------------------------------

SEGMENTS = ["a", "b", "{x}", "{y}", "a.b"]


@st.composite
def patterns(draw: Callable) -> str:
    kind = draw(st.sampled_from(["whole", "whole", "rest", "rest", "regex"]))
    if kind == "regex":
        return draw(st.sampled_from(["~^/a", "~b$", "~^/(?P<n>[ab]+)/(?P<m>.*)$", "~/", "~^/$"]))
    segments = draw(st.lists(st.sampled_from(SEGMENTS), max_size=4))
    for name in ("{x}", "{y}"):
        while segments.count(name) > 1:
            segments.remove(name)
    text = "/" + "/".join(segments)
    return text.rstrip("/") + ("/*" if kind == "rest" else draw(st.sampled_from(["", "/"])) if segments else "/")


VALUES = st.sampled_from(["1", "2", "~^1", "~2$", True, False])
SPECS = st.builds(
    RouteSpec,
    name=st.just("r"),
    hosts=st.lists(st.sampled_from(["a.test", "b.a.test", "*.test", "*.a.test", "other"]), max_size=2).map(tuple),
    path=patterns(),
    methods=st.sampled_from([(), (), ("GET",), ("POST", "PURGE"), ("PUT",)]),
    headers=st.dictionaries(st.sampled_from(["X-A", "x-b"]), VALUES, max_size=1),
    query=st.dictionaries(st.sampled_from(["q", "p"]), VALUES, max_size=1),
    priority=st.sampled_from([0, 0, 0, 1, -1]),
    order=st.integers(0, 2),
)
NAMES_AND_VALUES = st.tuples(
    st.sampled_from(["x-a", "X_A", "X-B", "q", "p", "P"]), st.sampled_from(["1", "2", "12", ""])
)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["GET", "HEAD", "POST", "PURGE", "DELETE"]),
    host=st.sampled_from(["a.test", "A.Test:80", "b.a.test", "c.b.a.test", "test", "other.", "x"]),
    path=st.one_of(
        st.lists(st.sampled_from(["a", "b", "a.b", "z"]), max_size=5).map(lambda parts: "/" + "/".join(parts)),
        st.lists(st.sampled_from(["a", "b", "z"]), min_size=1, max_size=4).map(lambda parts: f"/{'/'.join(parts)}/"),
        st.just("*"),
    ),
    headers=st.lists(NAMES_AND_VALUES, max_size=3).map(tuple),
    query=st.lists(NAMES_AND_VALUES, max_size=3).map(tuple),
)


def numbered(specs: list[RouteSpec]) -> list[RouteSpec]:
    """The same routes, each with a name of its own."""
    fields = [field.name for field in dataclasses.fields(RouteSpec) if field.name != "name"]
    return [
        RouteSpec(name=f"r{index}", **{field: getattr(spec, field) for field in fields})
        for index, spec in enumerate(specs)
    ]


def assert_agrees_with_the_scan(routes: list[RouteSpec], requests: list[Request]) -> None:
    router = Router(routes)
    for request in requests:
        chosen, allowed = choose(routes, request)
        look_up = ask(router, request)
        assert (request, look_up.name) == (request, chosen.name if chosen else None)
        assert set(look_up.allowed) == allowed
        if chosen is not None:
            wanted = captures(chosen, request.path)
            found = {name: value.decode() for name, value in look_up.captures.items()}
            assert found == {"*": "", **wanted} if chosen.path.endswith("/*") else found == wanted


@given(st.lists(SPECS, max_size=12), st.lists(REQUESTS, min_size=1, max_size=8))
def test_router_chooses_what_the_scan_chooses(specs: list[RouteSpec], requests: list[Request]) -> None:
    assert_agrees_with_the_scan(numbered(specs), requests)


PATHS = ["/" + "/".join(parts) for n in range(4) for parts in itertools.product("abz", repeat=n)]
EVERY_PATH = [Request(path=path) for path in (*PATHS, *(path + "/" for path in PATHS[1:]), "/a/b/a/b", "/a.b/a", "*")]
PLACED = st.builds(
    RouteSpec,
    name=st.just("r"),
    hosts=st.sampled_from([(), (), (), ("a.test",), ("*.test",)]),
    path=patterns(),
    priority=st.sampled_from([0, 0, 0, 0, 1]),
)


@settings(max_examples=200)
@given(st.lists(PLACED, min_size=2, max_size=14))
@example([RouteSpec(name="r", path=path) for path in ("/z", "/{x}/b", "/a/*")])
def test_router_chooses_what_the_scan_chooses_for_every_path(specs: list[RouteSpec]) -> None:
    assert_agrees_with_the_scan(numbered(specs), EVERY_PATH)


# -- what a look-up costs ----------------------------------------------------------------------------------------------


def many(n: int) -> list[RouteSpec]:
    shuffled = random.Random(1)
    paths = [f"/api/v{i % 5}/service-{i}" for i in range(n)]
    shuffled.shuffle(paths)
    return [RouteSpec(name=p, hosts=(f"h{i % 100}.test",) if i % 2 else (), path=p + "/*") for i, p in enumerate(paths)]


@pytest.mark.parametrize("shape", ["prefixes", "exact hosts"])
def test_ten_thousand_routes_cost_what_ten_cost(shape: str) -> None:
    def mean_steps(n: int) -> float:
        routes = many(n) if shape == "prefixes" else [RouteSpec(name=str(i), hosts=(f"h{i}.test",)) for i in range(n)]
        router = Router(routes)
        found = [
            router.look_up(b"GET", (spec.hosts or ("x.test",))[0].encode(), spec.path.replace("*", "x/y").encode())
            for spec in routes
        ]
        assert [look_up.name for look_up in found] == [spec.name for spec in routes]
        return sum(look_up.steps for look_up in found) / n

    assert mean_steps(10_000) <= 1.5 * mean_steps(10)


@pytest.mark.parametrize(
    "path",
    [b"/" * 10_000, b"/a" * 5_000, b"/" + b"a" * 10_000, b"/a" * 62 + b"/" + b"b" * 10_000, b"/a/" * 3_000],
    ids=["slashes", "segments", "one long segment", "long segment at the end", "empty segments"],
)
def test_hostile_path_visits_no_more_than_the_deepest_pattern(path: bytes) -> None:
    routes = [RouteSpec(name=str(i), path="/a" * i + "/x") for i in range(62)] + [RouteSpec(name="any")]
    assert Router(routes).look_up(b"GET", b"a.test", path).steps <= 4 * 64


def test_no_node_is_visited_twice_however_much_the_patterns_invite_it() -> None:
    # Every mix of literals and captures, ten deep, and a path that follows all of them and fits none.
    routes = []
    for bits in range(2**10):
        parts = [f"{{c{i}}}" if bits >> i & 1 else "a" for i in range(10)]
        routes.append(RouteSpec(name=str(bits), path="/" + "/".join(parts) + "/end"))
    router = Router(routes)
    look_up = router.look_up(b"GET", b"", b"/a" * 10 + b"/other")
    assert look_up.name is None
    assert look_up.steps <= 3 * router.statistics().nodes


@given(
    st.binary(max_size=300),
    st.binary(max_size=80) | st.lists(st.sampled_from([b"/", b"a", b"x", b"%", b"\0", b"\xff"])).map(b"".join),
    st.binary(max_size=40) | st.lists(st.sampled_from([b"&", b"=", b"q", b"%7", b"%71", b"+"])).map(b"".join),
    st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), max_size=4),
)
def test_any_bytes_go_somewhere_within_the_bound(
    host: bytes, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    routes = [
        RouteSpec(name="deep", hosts=("*.a.b.test", "a.test"), path="/a/{x}/a/{y}/*", headers={"x": False}),
        RouteSpec(name="query", path="/{x}/*", query={"q": "~q"}),
        RouteSpec(name="regex", path="~^/(?P<a>.*)x", headers={"a": "~."}),
        RouteSpec(name="any"),
    ]
    look_up = Router(routes).look_up(b"GET", host, path, query, headers)
    assert look_up.name in {"deep", "query", "regex", "any"}
    assert look_up.steps <= 60
    for value in look_up.captures.values():
        assert value in path


def test_hostile_host_looks_at_no_more_labels_than_the_wildcards_have() -> None:
    router = Router([RouteSpec(name="r", hosts=("*.a.b.test",))])
    look_up = router.look_up(b"GET", b"a." * 120 + b"a.b.test", b"/")
    assert look_up.name == "r"
    assert router.look_up(b"GET", b"x." * 127, b"/").steps < 20


def test_chosen_keys_do_not_meet_under_another_seed() -> None:
    # Whoever knows one seed can choose hosts that meet; every router has its own.
    from tidegate.routing.table import Table

    known = Table({}, bytes(16))
    chosen = [b"%d.test" % i for i in range(40_000) if known.hash(b"%d.test" % i) & 0xFF == 0][:100]
    router = Router([RouteSpec(name=host.decode(), hosts=(host.decode(),)) for host in chosen])
    assert router.statistics().longest_run < 20
