"""The request line: when it is judged, and what its limits cost."""

import pytest

from tidegate.wire.view import RefusalError, RequestParser

pytestmark = pytest.mark.sanitize


def fed_until_refused(data: bytes, **limits: int) -> tuple[str, int]:
    parser = RequestParser(**limits)
    for at in range(len(data)):
        try:
            parser.feed(data[at : at + 1])
        except RefusalError as refused:
            return refused.name, at + 1
    return "", len(data)


def test_tls_on_a_plain_port_is_refused_at_its_first_byte() -> None:
    assert fed_until_refused(b"\x16\x03\x01\x02\x00") == ("bad_method", 1)


def test_endless_target_is_refused_before_its_line_ends() -> None:
    name, fed = fed_until_refused(b"GET /" + b"a" * 500, target_bytes=100)
    assert (name, fed) == ("target_too_long", len(b"GET ") + 102)


def test_endless_method_is_bounded_by_the_head() -> None:
    assert fed_until_refused(b"A" * 500, head_bytes=100) == ("head_too_large", 100)


def test_endless_version_is_bounded_by_the_head() -> None:
    assert fed_until_refused(b"GET / " + b"A" * 500, head_bytes=100, target_bytes=50) == ("head_too_large", 100)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 32, 33, 63, 64, 65])
def test_target_of_any_length_around_a_vector_ends_where_it_ends(size: int) -> None:
    target = b"/" + b"t" * (size - 1)
    seen = RequestParser(target_bytes=size).feed(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert seen is not None and seen["target"] == target
    with pytest.raises(RefusalError, match="target_too_long"):
        RequestParser(target_bytes=size - 1).feed(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize("byte", [b"\0", b"\t", b"\x1f", b"\x7f", b"#"])
def test_bad_byte_is_found_wherever_it_stands(byte: bytes) -> None:
    for at in range(40):
        target = b"/" + b"t" * at + byte + b"t" * (40 - at)
        with pytest.raises(RefusalError, match="bad_target"):
            RequestParser().feed(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")


def test_method_ids_follow_the_text_exactly() -> None:
    def method_id(text: bytes) -> int:
        seen = RequestParser().feed(text + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert seen is not None
        return seen["method_id"]

    known = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"]
    assert [method_id(text) for text in known] == list(range(1, 9))
    assert {method_id(text.lower()) for text in known} == {0}
    assert {method_id(text + b"S") for text in known} == {0}
