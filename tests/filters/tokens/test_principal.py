"""Whom a token stands for, and what the upstream is told."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import testing
from tidegate.filters.tokens.principal import FIELDS_MAX, PrincipalReader, field_text

ANN = {
    "sub": "ann",
    "org": {"id": 7, "plan": "gold", "name": "Café"},
    "https://example.com/weight": 40,
    "roles": ["admin", "ops,eu"],
    "active": True,
    "nothing": None,
}


def test_principal_has_what_the_paths_name() -> None:
    reader = PrincipalReader(
        {"X-User": "sub", "X-Org": "org.name", "X-Roles": "roles", "X-None": "org.nobody", "X-Deep": "sub.x.y"},
        subject="sub",
        tenant="org.id",
        tier="org.plan",
        priority="https://example.com/weight",
    )
    found = reader.read(ANN, b"d" * 32, 12.5)
    identity = found.identity
    assert identity is not None
    assert (identity.subject, identity.tenant, identity.tier, identity.priority) == ("ann", "7", "gold", 40)
    assert found.until_s == 12.5
    assert dict(found.fields) == {
        "X-User": "ann",
        "X-Org": "Caf%C3%A9",
        "X-Roles": "admin,ops%2Ceu",
        "X-None": None,
        "X-Deep": None,
    }


def test_what_a_client_sends_in_these_fields_is_gone() -> None:
    reader = PrincipalReader({"X-User": "sub", "X-Org": "org.nobody"}, subject="sub")
    request = testing.request(headers=[("X-User", "root"), ("x-user", "root"), ("X-Org", "all")])
    reader.read(ANN, b"").apply(request)
    assert request.headers.get_all("X-User") == ["ann"]
    assert "X-Org" not in request.headers
    assert (request.auth.subject, request.auth.tenant) == ("ann", "ann")


def test_nobody_is_told_of_as_nobody() -> None:
    request = testing.request(headers={"X-User": "root"})
    PrincipalReader({"X-User": "sub"}, subject="sub").nobody.apply(request)
    assert "X-User" not in request.headers
    assert request.auth.subject == ""


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("subject", None), ("subject", ""), ("subject", {}), ("subject", ["ann"]), ("subject", True), ("subject", 1.5),
        ("subject", "\ud800"), ("tenant", []), ("tier", {"a": 1}), ("priority", "high"), ("priority", False),
        ("priority", 2.5), ("field", "x" * (FIELDS_MAX + 1)),
    ],
)  # fmt: skip
def test_object_that_does_not_say_who_is_refused(member: str, value: Any) -> None:
    reader = PrincipalReader({"X-Field": "field"}, subject="subject", tenant="tenant", tier="tier", priority="priority")
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds, all of them ValueErrors
        reader.read({"subject": "ann"} | {member: value}, b"")


@pytest.mark.parametrize(("said", "read"), [(5000, 1000), (-5000, -1000), (0, 0), (None, 0), (12, 12)])
def test_priority_stays_within_its_bounds(said: int | None, read: int) -> None:
    identity = PrincipalReader({}, subject="s", priority="p").read({"s": "ann", "p": said}, b"").identity
    assert identity is not None and identity.priority == read


def test_without_a_path_nobody_is_named() -> None:
    identity = PrincipalReader({}, subject=None).read({}, b"").identity
    assert identity is not None and (identity.subject, identity.tenant, identity.tier) == ("", "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ann", "ann"), ("a b", "a b"), (" a ", "%20a%20"), ("   ", "%20%20%20"), ("100%", "100%25"),
        ("a\r\nX: y", "a%0D%0AX: y"), ("é", "%C3%A9"), ("", ""), (7, "7"), (-1, "-1"), (1.5, "1.5"), (True, "true"),
        (False, "false"), (None, None), ([], ""), (["a", 1, None, True], "a,1,null,true"),
        ({"a": "é"}, '{"a":"%C3%A9"}'),
        ([["a"]], '[["a"]]'),
    ],
)  # fmt: skip
def test_values_have_one_spelling(value: Any, text: str | None) -> None:
    assert field_text(value) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_sent_cleanly_and_comes_back_whole(text: str) -> None:
    sent = field_text(text)
    assert sent is not None
    assert unquote(sent) == text
    assert sent.isascii() and (sent.isprintable() or not sent)
    assert sent == sent.strip()
    testing.request().headers["X-Field"] = sent


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_list_comes_back_whole(texts: list[str]) -> None:
    sent = field_text(texts)
    assert sent is not None and [unquote(one) for one in sent.split(",")] == texts
