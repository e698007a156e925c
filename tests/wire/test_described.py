"""A request that is described instead of sent."""

import pytest

from tidegate.wire.described import Described
from tidegate.wire.view import PathRefusalError


def test_head_is_what_a_client_would_send() -> None:
    described = Described("GET", "http://a.test:8080/x/../y?q=1", (("X-User", "ann"),))
    assert described.head == b"GET /x/../y?q=1 HTTP/1.1\r\nHost: a.test:8080\r\nX-User: ann\r\n\r\n"
    assert (described.host, described.path, described.query) == ("a.test:8080", "/x/../y", "q=1")
    assert described.canonical_path() == "/y"


def test_host_that_is_given_takes_the_place_of_the_one_in_the_url() -> None:
    assert Described("GET", "https://a.test", (("host", "b.test"),)).head == b"GET / HTTP/1.1\r\nhost: b.test\r\n\r\n"


@pytest.mark.parametrize("url", ["", "/orders", "a.test/orders", "ftp://a.test/", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL"):
        Described("GET", url)


def test_what_has_no_place_in_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="Latin-1"):
        Described("GET", "http://a.test/", (("X-User", "\u20ac"),))
    with pytest.raises(PathRefusalError):
        Described("GET", "http://a.test/%2e%2e/%2F").canonical_path()
