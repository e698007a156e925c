from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.oracle import Request, choose, rank

from tidegate.routing.reachable import unreachable
from tidegate.routing.spec import RouteSpec


def names(*routes: RouteSpec) -> list[tuple[str, str]]:
    return [(route.name, because_of.name) for route, because_of in unreachable(routes)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"path": "/a"}, {"path": "/a"}),
        ({"path": "/a/{x}"}, {"path": "/a/{y}"}),
        ({"path": "/a/*"}, {"path": "/a/*"}),
        ({"path": "~^/a"}, {"path": "~^/a"}),
        ({"path": "/*", "priority": 1}, {"path": "~^/a"}),
        ({"path": "/*", "priority": 1}, {"path": "/"}),
        ({"path": "/a/*", "priority": 1}, {"path": "/a"}),
        ({"path": "/a/*", "priority": 1}, {"path": "/a/b/{c}/*"}),
        ({"path": "/a/{x}", "priority": 1}, {"path": "/a/b"}),
        ({"path": "/{x}/*", "priority": 1}, {"path": "/a/b/"}),
        ({"path": "~^/a/[0-9]+$", "priority": 1}, {"path": "/a/12"}),
        ({"hosts": ("A.test.",)}, {"hosts": ("a.test",)}),
        ({"priority": 1}, {"hosts": ("a.test",), "path": "/a"}),
        ({"hosts": ("*.test",), "priority": 1}, {"hosts": ("a.b.test", "*.c.test")}),
        ({"methods": ("GET", "POST")}, {"methods": ("POST",)}),
        ({"methods": ("GET",)}, {"methods": ("HEAD",)}),
        ({"headers": {"X-A": "1"}}, {"headers": {"x_a": "1"}}),
        ({"headers": {"X-A": True}, "priority": 1}, {"headers": {"X-A": "1", "X-B": False}}),
        ({"query": {"a": True}}, {"query": {"a": "~^x"}}),
        ({"priority": 1}, {"methods": ("GET",), "headers": {"a": "1"}, "query": {"b": "2"}}),
    ],
)
def test_hidden_route_is_found_with_the_one_that_hides_it(first: dict, second: dict) -> None:
    assert names(RouteSpec(name="first", **first), RouteSpec(name="second", **second)) == [("second", "first")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"path": "/a/*"}, {"path": "/a"}),
        ({"path": "/a"}, {"path": "/a/"}),
        ({"path": "/a/{x}", "priority": 1}, {"path": "/a/"}),
        ({"path": "/a/{x}", "priority": 1}, {"path": "/a/*"}),
        ({"path": "/a/{x}", "priority": 1}, {"path": "/a/b/*"}),
        ({"path": "/a/b/*", "priority": 1}, {"path": "/a/{x}/*"}),
        ({"path": "~^/a", "priority": 1}, {"path": "/a/*"}),
        ({"path": "~^/a", "priority": 1}, {"path": "~^/a/b"}),  # hidden indeed: two regexes are not compared
        ({"hosts": ("*.a.test",), "priority": 1}, {"hosts": ("a.test",)}),
        ({"hosts": ("a.test",), "priority": 1}, {}),
        ({"hosts": ("*.b.test",), "priority": 1}, {"hosts": ("*.test",)}),
        ({"hosts": ("a.test",), "priority": 1}, {"hosts": ("a.test", "b.test")}),
        ({"methods": ("GET", "HEAD")}, {}),
        ({"methods": ("GET",)}, {"methods": ("GET", "POST")}),
        ({"headers": {"X-A": "1"}}, {"headers": {"X-A": "2"}}),
        ({"headers": {"X-A": "1"}}, {"query": {"X-A": "1"}}),
        ({"headers": {"X-A": True}}, {"headers": {"X-A": False}}),
        ({"query": {"a": "1"}}, {"query": {"A": "1"}}),
    ],
)
def test_reachable_route_is_not_reported(first: dict, second: dict) -> None:
    assert names(RouteSpec(name="first", **first), RouteSpec(name="second", **second)) == []


def test_methods_of_several_routes_hide_together() -> None:
    get, post = RouteSpec(name="get", methods=("GET",)), RouteSpec(name="post", methods=("POST",))
    both = RouteSpec(name="both", methods=("POST", "GET"))
    assert names(get, post, both) == [("both", "get")]
    assert names(get, both) == []


def test_a_host_of_the_same_route_does_not_hide_it() -> None:
    assert names(RouteSpec(name="r", hosts=("*.test", "a.test", "A.test"))) == []


def test_each_host_may_be_hidden_by_another_route() -> None:
    a, b = (RouteSpec(name=name, hosts=(f"{name}.test",), priority=1) for name in "ab")
    assert names(a, b, RouteSpec(name="r", hosts=("a.test", "b.test"))) == [("r", "a")]


def test_findings_come_in_the_order_of_the_routes() -> None:
    low, high = RouteSpec(name="low"), RouteSpec(name="high", priority=1)
    assert names(low, RouteSpec(name="lower", priority=-1), high) == [("low", "high"), ("lower", "high")]


PATHS = ["/*", "/", "/a", "/a/", "/a/b", "/{x}", "/{x}/b", "/a/{y}", "/{x}/{y}", "/a/*", "/{x}/*", "/a/b/*", "/{x}/b/*"]
HOSTS = ["a.test", "b.a.test", "*.test", "*.a.test"]
SPECS = st.builds(
    RouteSpec,
    name=st.just("r"),
    hosts=st.lists(st.sampled_from(HOSTS), max_size=2).map(tuple),
    path=st.sampled_from(PATHS),
    priority=st.integers(0, 1),
    methods=st.sampled_from([(), (), ("GET",), ("POST", "HEAD"), ("POST",)]),
    headers=st.sampled_from([{}, {}, {"x": "1"}, {"x": True}, {"x": False}]),
    query=st.sampled_from([{}, {}, {"q": "1"}]),
)
# Every kind of request that the patterns above can tell apart, one beyond each of them included.
UNIVERSE = [
    Request(method, host, path, headers, query)
    for method, host, path, headers, query in product(
        ["GET", "HEAD", "POST", "X"],
        ["a.test", "b.a.test", "c.a.test", "c.test", "other"],
        ["*", "/", "/a", "/z", *("/" + "/".join(p) for n in (2, 3) for p in product(["a", "b", "z", ""], repeat=n))],
        [(), (("x", "1"),), (("x", "2"),)],
        [(), (("q", "1"),)],
    )
    if "//" not in path
]


KNOWN: dict[str, frozenset[Request]] = {}


def fitting(spec: RouteSpec) -> frozenset[Request]:
    """What the route fits by itself; worked out once for each kind of route."""
    kind = repr((spec.hosts, spec.path, spec.methods, spec.headers, spec.query))
    if kind not in KNOWN:
        KNOWN[kind] = frozenset(request for request in UNIVERSE if choose([spec], request)[0])
    return KNOWN[kind]


@given(st.lists(SPECS, min_size=2, max_size=6))
def test_no_request_reaches_what_is_reported(routes: list[RouteSpec]) -> None:
    for spec, because_of in unreachable(routes):
        assert because_of is not spec
        for request in fitting(spec):
            assert choose(routes, request)[0] is not spec


@given(st.lists(SPECS, min_size=2, max_size=5))
def test_a_route_that_one_other_always_beats_is_reported(routes: list[RouteSpec]) -> None:
    found = {id(route) for route, _ in unreachable(routes)}
    for index, spec in enumerate(routes):
        requests = fitting(spec)
        hosts = {request.host for request in requests}
        for other_index, other in enumerate(routes):
            if (
                other is not spec
                and requests <= fitting(other)
                and all(rank(other, other_index, host) < rank(spec, index, host) for host in hosts)
            ):
                assert id(spec) in found


def test_ten_thousand_routes_are_compared_in_a_walk_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegate.routing import reachable

    walked = 0
    original = reachable._groups_over

    def counting(*args):
        nonlocal walked
        walked += 1
        return original(*args)

    monkeypatch.setattr(reachable, "_groups_over", counting)
    routes = [RouteSpec(name=f"r{i}", hosts=(f"h{i % 100}.test",), path=f"/a/{i}/*") for i in range(10_000)]
    assert unreachable([*routes, RouteSpec(name="twin", hosts=("h7.test",), path="/a/7/*")])[0][1] is routes[7]
    assert walked <= 3 * 10_001
