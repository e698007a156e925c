"""What a server answers instead of a result, in the gateway's words."""

from __future__ import annotations

import pytest

from tidegate.errors import Kind, Retry, Source
from tidegate.redis.errors import ReplyError, protocol_error, too_large


@pytest.mark.parametrize(
    ("text", "kind", "source"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", Kind.DESTINATION_UNAVAILABLE, Source.UPSTREAM),
        ("LOADING Redis is loading the dataset in memory", Kind.DESTINATION_UNAVAILABLE, Source.UPSTREAM),
        ("READONLY You can't write against a read only replica.", Kind.DESTINATION_UNAVAILABLE, Source.UPSTREAM),
        ("WRONGPASS invalid username-password pair", Kind.PROXY_CONFIGURATION_ERROR, Source.INTERNAL),
        ("WRONGTYPE Operation against a key", Kind.PROXY_INTERNAL_ERROR, Source.INTERNAL),
        ("ERR syntax error", Kind.PROXY_INTERNAL_ERROR, Source.INTERNAL),
        ("", Kind.PROXY_INTERNAL_ERROR, Source.INTERNAL),
    ],
)
def test_code_of_the_server_says_whose_fault_it_is(text: str, kind: Kind, source: Source) -> None:
    error = ReplyError(text)
    assert (error.code, error.text) == (text.partition(" ")[0], text)
    assert (error.kind, error.source, error.retry) == (kind, source, Retry.NO)


def test_a_value_that_is_too_large_and_a_stranger_are_kinds_of_their_own() -> None:
    assert too_large(1 << 40).kind is Kind.HTTP_RESPONSE_BODY_SIZE
    assert str(1 << 40) in too_large(1 << 40).detail
    error = protocol_error("10.0.0.1:80", "unexpected byte")
    assert error.kind is Kind.HTTP_PROTOCOL_ERROR and error.retry is Retry.NO
    assert "10.0.0.1:80" in error.detail
