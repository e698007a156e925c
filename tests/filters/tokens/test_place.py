"""Where a request presents its token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import testing
from tidegate.filters.tokens.place import Flaw, TokenPlace

BOTH = TokenPlace("Authorization", "Bearer", "session", 64)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("Authorization", "Bearer abc")], "abc"),
        ([("authorization", "bEARER   abc")], "abc"),
        ([("Authorization", "Bearer a=b;c")], "a=b;c"),
        ([("Cookie", "a=1; session=abc; b=2")], "abc"),
        ([("Cookie", "a=1"), ("Cookie", "session=abc")], "abc"),
        ([("Cookie", "session=a=b=")], "a=b="),
        ([("Cookie", " session = abc ")], "abc"),
        ([("Authorization", "Bearer abc"), ("Cookie", "session=other")], "abc"),
        ([("Authorization", "Basic YTpi"), ("Cookie", "session=abc")], "abc"),
        ([], Flaw.MISSING),
        ([("Authorization", "Bearer")], Flaw.MISSING),
        ([("Authorization", "Bearer ")], Flaw.MISSING),
        ([("Authorization", "")], Flaw.MISSING),
        ([("Authorization", "Bearerabc")], Flaw.MISSING),
        ([("Cookie", "session=")], Flaw.MISSING),
        ([("Cookie", "xsession=abc; session2=abc")], Flaw.MISSING),
        ([("Cookie", "Session=abc")], Flaw.MISSING),
        ([("Authorization", "Bearer abc"), ("Authorization", "Bearer abc")], Flaw.REPEATED),
        ([("Authorization", "Bearer abc"), ("authorization", "Basic YTpi")], Flaw.REPEATED),
        ([("Cookie", "session=abc; session=abc")], Flaw.REPEATED),
        ([("Cookie", "session=abc"), ("Cookie", "a=1; session=")], Flaw.REPEATED),
        ([("Authorization", "Bearer a b")], Flaw.MALFORMED),
        ([("Authorization", "Bearer a\tb")], Flaw.MALFORMED),
        ([("Authorization", "Bearer caf\xe9")], Flaw.MALFORMED),
        ([("Cookie", "session=\x80")], Flaw.MALFORMED),
        ([("Authorization", "Bearer " + "a" * 64)], "a" * 64),
        ([("Authorization", "Bearer " + "a" * 65)], Flaw.TOO_LONG),
        ([("Authorization", "Bearer " + "a" * 65_536)], Flaw.TOO_LONG),
    ],
)
def test_token_is_found_or_it_is_said_why_not(fields: list[tuple[str, str]], found: str | Flaw) -> None:
    assert BOTH.find(testing.request(headers=fields)) == found


def test_field_without_a_scheme_is_the_token() -> None:
    place = TokenPlace("X-Token", None, None, 64)
    assert place.find(testing.request(headers={"X-Token": "abc"})) == "abc"
    assert place.find(testing.request(headers={"X-Token": "Bearer abc"})) is Flaw.MALFORMED
    assert place.find(testing.request(headers={"Cookie": "X-Token=abc"})) is Flaw.MISSING
    assert place.find(testing.request(headers={"X_Token": "abc"})) is Flaw.MISSING


def test_cookie_alone_may_be_the_place() -> None:
    place = TokenPlace(None, None, "sid", 64)
    assert place.find(testing.request(headers={"Authorization": "Bearer abc"})) is Flaw.MISSING
    assert place.find(testing.request(headers={"Cookie": "sid=abc"})) == "abc"


VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
# What a field can have at all: the parser has refused the rest before any filter sees it.
FIELD = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)


@given(token=st.text(VISIBLE, min_size=1, max_size=64))
def test_any_visible_ascii_is_a_token(token: str) -> None:
    assert BOTH.find(testing.request(headers={"Authorization": f"Bearer {token}"})) == token


@given(value=FIELD, cookie=FIELD)
def test_whatever_comes_is_a_clean_token_or_a_flaw(value: str, cookie: str) -> None:
    found = BOTH.find(testing.request(headers={"Authorization": value, "Cookie": cookie}))
    assert isinstance(found, Flaw) or (0 < len(found) <= 64 and all(0x21 <= ord(one) <= 0x7E for one in found))


@given(pairs=st.lists(st.tuples(st.sampled_from(["a", "b", "session", "sessions"]), st.text(VISIBLE, max_size=5))))
def test_no_token_is_left_when_it_is_taken_away(pairs: list[tuple[str, str]]) -> None:
    clean = [(name, value.replace(";", "").replace("=", "")) for name, value in pairs]
    line = "; ".join(f"{name}={value}" for name, value in clean)
    request = testing.request(headers={"Authorization": "Bearer abc", **({"Cookie": line} if line else {})})
    BOTH.strip(request)
    assert "authorization" not in request.headers
    left = [f"{name}={value}" for name, value in clean if name != "session"]
    assert request.headers.get("cookie", "") == "; ".join(left)


def test_cookies_of_several_lines_are_kept_without_the_token() -> None:
    request = testing.request(headers=[("Cookie", "a=1; session=abc"), ("Cookie", "b=2")])
    BOTH.strip(request)
    assert request.headers.get_all("cookie") == ["a=1; b=2"]
    assert repr(BOTH) == "<TokenPlace field Authorization or cookie session>"
