"""What Connection says, and what it may not take away."""

import pytest

from tidegate.wire.view import RefusalError, RequestParser, ResponseParser

pytestmark = pytest.mark.sanitize

NAMED = 2  # FIELD_NAMED_BY_CONNECTION


def flags(fields: bytes, version: bytes = b"1.1") -> frozenset[str]:
    seen = RequestParser().feed(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n")
    assert seen is not None
    return seen["flags"]


def named(fields: bytes) -> set[bytes]:
    seen = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert seen is not None
    return {name for name, _, _, flag in seen["fields"] if flag & NAMED}


@pytest.mark.parametrize(
    ("version", "fields", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: CLOSE\r\n", False),
        (b"1.1", b"Connection: keep-alive, close\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: , ,close\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.1", b"Connection:\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_connection_is_kept_as_version_and_field_say(version: bytes, fields: bytes, kept: bool) -> None:
    assert ("keep_alive" in flags(fields, version)) == kept


def test_fields_named_in_any_spelling_are_marked() -> None:
    fields = b"X-User-Id: 1\r\nX_User_Id: 2\r\nx-user-ID: 3\r\nX-Other: 4\r\nConnection: close, X-USER_id\r\n"
    assert named(fields) == {b"X-User-Id", b"X_User_Id", b"x-user-ID"}


def test_fields_are_marked_wherever_connection_stands() -> None:
    assert named(b"Connection: b\r\nA: 1\r\nB: 2\r\nConnection: a\r\n") == {b"A", b"B"}


@pytest.mark.parametrize(
    "name", [b"Host", b"Authorization", b"Cookie", b"Content-Type", b"content-LENGTH", b"Content_Encoding"]
)
def test_what_a_message_is_and_whose_it_is_cannot_be_named_away(name: bytes) -> None:
    line = b"" if name == b"Host" else name + b": 1\r\n"
    assert named(line + b"Connection: " + name + b"\r\n") == set()


def test_set_cookie_and_other_names_alike_can_be_named() -> None:
    fields = b"Cookies: 1\r\nContent: 2\r\nHosts: 3\r\nConnection: cookies, content, hosts\r\n"
    assert named(fields) == {b"Cookies", b"Content", b"Hosts"}


def test_other_names_are_told_from_the_usual_ones() -> None:
    assert "connection_names" not in flags(b"Connection: keep-alive, Upgrade, TE\r\n")
    assert "connection_names" in flags(b"Connection: keep-alive, X-Foo\r\n")


def test_upgrade_needs_both_fields_and_http_11() -> None:
    both = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    assert "upgrade" in flags(both)
    assert "upgrade" not in flags(both, b"1.0")
    assert "upgrade" not in flags(b"Connection: Upgrade\r\n")
    assert "upgrade" not in flags(b"Upgrade: websocket\r\n")
    assert "upgrade" not in flags(both + b"Upgrade: h2c\r\n")


def test_upgrade_of_a_response_is_shown() -> None:
    seen = ResponseParser().feed(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert seen is not None
    assert (seen["framing"], seen["upgrade"]) == ("tunnel", b"websocket")
    assert "keep_alive" not in seen["flags"]


def test_te_names_trailers_in_any_place() -> None:
    assert "te_trailers" in flags(b"TE: gzip;q=0.5, Trailers\r\n")
    assert "te_trailers" not in flags(b"TE: trailers;q=1\r\n")


def test_number_of_connection_options_is_bounded() -> None:
    fits = b"Connection: " + b",".join([b"a"] * 64) + b"\r\n"
    assert "connection_names" in flags(fits)
    with pytest.raises(RefusalError, match="too_many_fields"):
        flags(fits + b"Connection: b\r\n")


def test_empty_options_count_for_nothing() -> None:
    assert "connection_names" not in flags(b"Connection: " + b" ," * 500 + b"\r\n")
