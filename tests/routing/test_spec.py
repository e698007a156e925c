import pytest

from tidegate.routing.spec import CAPTURES_MAX, SEGMENTS_MAX, RouteSpec, Shape, methods_of, ranked, shape_of


def order_of(*routes: RouteSpec) -> list[str]:
    return [routes[place.route].name for place in ranked(routes)]


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/", Shape((b"",), False, "", ())),
        ("/*", Shape((), True, "", ("*",))),
        ("/a/b", Shape((b"a", b"b"), False, "", ())),
        ("/a/b/", Shape((b"a", b"b", b""), False, "", ())),
        ("/a/*", Shape((b"a",), True, "", ("*",))),
        ("/users/{id}", Shape((b"users", None), False, "", ("id",))),
        ("/users/{id}/", Shape((b"users", None, b""), False, "", ("id",))),
        ("/users/{id}/posts/{post}/*", Shape((b"users", None, b"posts", None), True, "", ("id", "post", "*"))),
        ("~^/x/(?P<n>[0-9]+)$", Shape((), False, "^/x/(?P<n>[0-9]+)$", ())),
    ],
)
def test_path_becomes_segments(path: str, shape: Shape) -> None:
    assert shape_of(path) == shape


def test_places_are_ranked_as_documented() -> None:
    names = ["exact", "literal first", "capture first", "deep prefix", "prefix", "prefix capture", "regex", "any"]
    paths = ["/a/b", "/a/{x}", "/{x}/b", "/a/b/*", "/a/*", "/{x}/*", "~^/a", "/*"]
    routes = [RouteSpec(name=name, path=path) for name, path in zip(names, paths, strict=True)]
    assert order_of(*reversed(routes)) == names


def test_host_goes_before_path_and_priority_before_host() -> None:
    assert order_of(
        RouteSpec(name="any host", path="/a"),
        RouteSpec(name="wildcard", hosts=("*.test",), path="/a"),
        RouteSpec(name="longer wildcard", hosts=("*.b.test",)),
        RouteSpec(name="exact", hosts=("a.b.test",)),
        RouteSpec(name="first", priority=1),
        RouteSpec(name="last", hosts=("a.b.test",), path="/a", priority=-1),
    ) == ["first", "exact", "longer wildcard", "wildcard", "any host", "last"]


def test_more_matchers_then_order_then_position_decide() -> None:
    assert order_of(
        RouteSpec(name="third", order=1),
        RouteSpec(name="fourth", order=1),
        RouteSpec(name="second", order=0),
        RouteSpec(name="first", order=2, methods=("GET", "POST")),
        RouteSpec(name="most", order=2, headers={"a": "1"}, query={"b": True}),
    ) == ["most", "first", "second", "third", "fourth"]


def test_a_route_has_a_place_for_each_of_its_hosts() -> None:
    places = ranked([RouteSpec(name="r", hosts=("*.B.test", "A.test.", "a.test"))])
    assert [place.host for place in places] == ["a.test", "*.b.test"]


def test_get_brings_head() -> None:
    assert methods_of(RouteSpec(name="r")) is None
    assert methods_of(RouteSpec(name="r", methods=("GET", "PUT"))) == {"GET", "HEAD", "PUT"}
    assert methods_of(RouteSpec(name="r", methods=("POST",))) == {"POST"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (RouteSpec(name="bad", path="a"), 'route "bad": a path begins with'),
        (RouteSpec(name="bad", hosts=("a:1",)), 'route "bad": a host is written without a port'),
        (RouteSpec(name="bad", path="/a" * (SEGMENTS_MAX + 1)), "at most 63 segments"),
        (RouteSpec(name="bad", path="".join(f"/{{c{i}}}" for i in range(CAPTURES_MAX)) + "/*"), "at most 16 captures"),
    ],
)
def test_what_is_no_route_is_named(spec: RouteSpec, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranked([RouteSpec(name="good"), spec])
