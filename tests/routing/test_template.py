import pytest

from tidegate.routing.template import (
    Kind,
    Part,
    capture_names,
    is_relative,
    location_parts,
    path_parts,
    plain_path,
    replacement_parts,
)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/a", ()),
        ("/a/*", ("*",)),
        ("/{b}/{a}/*", ("b", "a", "*")),
        ("~^/(?P<b>.)(.)(?P<a>.)", ("b", "a")),
    ],
)
def test_captures_have_the_order_in_which_they_stand(path: str, names: tuple[str, ...]) -> None:
    assert capture_names(path) == names


def test_template_is_literals_with_what_is_put_between_them() -> None:
    assert path_parts("/v2/{id}{*}/x", ("id", "*")) == [
        Part(Kind.LITERAL, "/v2/"),
        Part(Kind.CAPTURE, number=0),
        Part(Kind.CAPTURE, number=1),
        Part(Kind.LITERAL, "/x"),
    ]
    assert [part.kind for part in location_parts("{scheme}://{host}{path}{query}", ())] == [
        Kind.SCHEME,
        Kind.LITERAL,
        Kind.HOST,
        Kind.PATH,
        Kind.QUERY,
    ]


def test_replacement_has_groups_and_an_escape() -> None:
    assert replacement_parts(r"/\2\\1", 2) == [
        Part(Kind.LITERAL, "/"),
        Part(Kind.GROUP, number=2),
        Part(Kind.LITERAL, "\\"),
        Part(Kind.LITERAL, "1"),
    ]


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("a", (), '`path` begins with "/"'),
        ("/a?b={id}", ("id",), 'without "\\?"'),
        ("/{nam}", ("name",), '"{nam}" .* there is {name}'),
        ("/{x}", (), "captures nothing"),
        ("/a b", (), "percent-encoded"),
        ("/{x", ("x",), "percent-encoded"),
        ("/%2e{*}", ("*",), "write that in `path`"),
    ],
)
def test_path_that_cannot_be_made_is_refused(text: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        path_parts(text, names)


@pytest.mark.parametrize(
    ("text", "groups", "message"),
    [
        (r"\1", 0, "which has none"),
        (r"\2", 1, r"which has only \\1"),
        (r"\4", 3, r"which has \\1 to \\3"),
        (r"\0", 1, "is no group"),
        (r"\n", 1, "is no group"),
        ("\\", 1, "is no group"),
        ("%2E", 0, "write that in `replace`"),
    ],
)
def test_replacement_that_cannot_be_made_is_refused(text: str, groups: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replacement_parts(text, groups)


def test_plain_path_loses_its_final_slash() -> None:
    assert plain_path("prefix", "/v2/") == "/v2"
    assert plain_path("prefix", "/") == ""
    with pytest.raises(ValueError, match='`prefix` begins with "/", got "v2"'):
        plain_path("prefix", "v2")


@pytest.mark.parametrize(
    "to",
    [
        "//evil.test/",
        "{*}",
        "{query}",
        "a/b",
        "javascript:alert(1)",
        "ftp://a/",
        "https://{x}.example.com/",
        "https://{host}{*}",
        "https://example.com{x}",
        "https://{host}{scheme}",
        "https://user@example.com/",
        "https:///a",
        "https://{path}",
        "",
    ],
)
def test_redirect_that_a_client_could_lead_elsewhere_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="a redirect goes to"):
        location_parts(to, ("x", "*"))


@pytest.mark.parametrize(
    ("to", "names", "message"),
    [
        ("/{id}", ("ids",), '"{id}" .* there is {scheme}, {host}, {path}, {query}, {ids}'),
        ("/{host}", ("host",), 'the capture "host"'),
        ("/a\r\nb", (), "percent-encoded"),
        ("/ü", (), "percent-encoded"),
    ],
)
def test_redirect_that_cannot_be_filled_is_refused(to: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        location_parts(to, names)


def test_target_is_relative_when_the_client_stays_where_it_is() -> None:
    assert [is_relative(to) for to in ("/a", "{path}/b", "//a", "https://a/", "{scheme}://{host}/")] == [
        True,
        True,
        False,
        False,
        False,
    ]
