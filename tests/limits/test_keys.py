"""What two requests have to share, and what not, to count as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.limit_keys import parse_key_part
from tidegate.limits.keys import RequestKey

pytestmark = pytest.mark.sanitize

SECRET = bytes(range(16))


def key(*parts: str, name: str = "edge") -> RequestKey:
    return RequestKey(SECRET, name, tuple(parse_key_part(part) for part in parts))


def head(target: str = "/", fields: str = "Host: gateway.test\r\n", method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


PLAIN = head()


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("client.ip", {"client": b"192.0.2.1"}, {"client": b"192.0.2.2"}),
        ("client.ip", {"client": b"2001:db8:0:1::1"}, {"client": b"2001:db8:0:2::1"}),
        ("client.ip/128", {"client": b"2001:db8::1"}, {"client": b"2001:db8::2"}),
        ("client.ip/49", {"client": b"2001:db8:0:8000::1"}, {"client": b"2001:db8:0:7fff::1"}),
        ("path", {"path": b"/a"}, {"path": b"/b"}),
        ("route", {"route": b"a"}, {"route": b"b"}),
        ("upstream", {"upstream": b"a"}, {"upstream": b"b"}),
        ("endpoint", {"endpoint": b"10.0.0.5:80"}, {"endpoint": b"10.0.0.6:80"}),
        ("auth.tenant", {"tenant": b"a"}, {"tenant": b"b"}),
        ("auth.subject", {"subject": b"a"}, {"subject": b"b"}),
        ("auth.key", {"digest": b"a" * 32}, {"digest": b"b" * 32}),
    ],
)
def test_what_is_different_has_keys_of_its_own(part: str, one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert key(part).fingerprint(PLAIN, **one) != key(part).fingerprint(PLAIN, **other)


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("header:X-Tenant", "X-Tenant: acme\r\n", "X-Tenant: acme2\r\n"),
        ("cookie:sid", "Cookie: sid=1\r\n", "Cookie: sid=2\r\n"),
        ("host", "Host: a.test\r\n", "Host: b.test\r\n"),
    ],
)
def test_different_fields_have_keys_of_their_own(part: str, one: str, other: str) -> None:
    fields = ["" if part == "host" else "Host: gateway.test\r\n"] * 2
    prints = {
        key(part).fingerprint(head(fields=before + after)) for before, after in zip(fields, (one, other), strict=True)
    }
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("part", "heads"),
    [
        ("host", [head(fields=f"Host: {host}\r\n") for host in ("Gateway.test", "gateway.test:80", "gateway.test.")]),
        ("query:u", [head(target) for target in ("/?u=a+b", "/?u=a%20b", "/?x=1&u=%61%20%62", "/?%75=a+b")]),
        ("header:x-key", [head(fields=f"Host: h\r\n{name}: 1\r\n") for name in ("X-Key", "x-key", "X_KEY")]),
        ("method", [PLAIN, head("/other")]),
    ],
)
def test_spellings_of_one_thing_have_one_key(part: str, heads: list[bytes]) -> None:
    assert len({key(part).fingerprint(one) for one in heads}) == 1


@pytest.mark.parametrize(
    ("part", "clients"),
    [
        ("client.ip", [b"2001:db8::1", b"2001:db8:0:0:ffff::2", b"2001:DB8::3"]),
        ("client.ip", [b"192.0.2.1", b"::ffff:192.0.2.1", b"::ffff:c000:201"]),
        ("client.ip/33", [b"2001:db8:8000::", b"2001:db8:ffff::"]),
    ],
)
def test_addresses_of_one_client_have_one_key(part: str, clients: list[bytes]) -> None:
    assert len({key(part).fingerprint(PLAIN, client=client) for client in clients}) == 1


def test_limits_of_other_names_have_other_cells() -> None:
    assert key("path", name="a").fingerprint(PLAIN) != key("path", name="b").fingerprint(PLAIN)


def test_other_secrets_make_other_cells() -> None:
    parts = (parse_key_part("path"),)
    assert RequestKey(SECRET, "a", parts).fingerprint(PLAIN) != RequestKey(b"x" * 16, "a", parts).fingerprint(PLAIN)


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_parts_of_a_tuple_do_not_run_into_each_other(a: bytes, b: bytes, c: bytes, d: bytes) -> None:
    both = key("auth.tenant", "path")
    same = both.fingerprint(PLAIN, tenant=a, path=b) == both.fingerprint(PLAIN, tenant=c, path=d)
    assert same == ((a, b) == (c, d))


def test_what_is_missing_is_neither_empty_nor_another_part_that_is_missing() -> None:
    both = key("header:a", "header:b")
    fields = ["", "A:\r\n", "B:\r\n", "A:\r\nB:\r\n"]
    found = [both.fingerprint(head(fields=f"Host: h\r\n{one}")) for one in fields]
    assert len({fingerprint for fingerprint, _ in found}) == 4
    assert [is_missing for _, is_missing in found] == [True, True, True, False]


@pytest.mark.parametrize(
    ("part", "one", "several"),
    [
        (
            "header:x-user",
            head(fields="Host: h\r\nX-User: 1\r\n"),
            head(fields="Host: h\r\nX-User: {}\r\nX_USER: 1\r\n"),
        ),
        ("cookie:u", head(fields="Host: h\r\nCookie: u=1\r\n"), head(fields="Host: h\r\nCookie: u={}; u=1\r\n")),
        ("query:u", head("/?u=1"), head("/?u={}&%75=1")),
    ],
)
def test_repeated_part_is_missing_or_its_sender_would_choose_his_key(part: str, one: bytes, several: bytes) -> None:
    keys = {key(part).fingerprint(several.replace(b"{}", b"%d" % number)) for number in range(5)}
    assert keys == {key(part).fingerprint(head(fields="Host: h\r\n"))}
    assert all(is_missing for _, is_missing in keys)
    assert key(part).fingerprint(one) not in keys


def test_constant_and_no_key_are_one_for_all() -> None:
    for parts in ((), ("constant:all",)):
        one = key(*parts)
        assert one.fingerprint(PLAIN) == one.fingerprint(head("/x", "Host: other\r\n", "POST"), client=b"192.0.2.9")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 10_240])
def test_key_of_any_size_and_bytes_is_taken(size: int) -> None:
    text = bytes(i * 37 % 251 or 1 for i in range(size))
    one = key("auth.tenant")
    assert one.fingerprint(PLAIN, tenant=text) == one.fingerprint(PLAIN, tenant=text)
    assert one.fingerprint(PLAIN, tenant=text) != one.fingerprint(PLAIN, tenant=text + b"\0")


@pytest.mark.parametrize(
    ("part", "text", "asked"),
    [
        ("auth.tenant", b"acme", {"tenant": b"acme"}),
        ("client.ip", b"2001:db8::9", {"client": b"2001:db8::1"}),
        ("query:u", b"a b", {}),
        ("host", b"GATEWAY.test", {}),
        ("host", b"gateway.test.:80", {}),
        ("auth.key", b"sha256:" + b"0aF9" * 16, {"digest": b"\x0a\xf9" * 16}),
    ],
)
def test_text_of_an_override_is_the_key_of_who_it_is_for(part: str, text: bytes, asked: dict[str, bytes]) -> None:
    fingerprint, _ = key(part).fingerprint(head("/?u=a%20b"), **asked)
    assert key(part).fingerprint_of_text(text) == fingerprint


@pytest.mark.parametrize("size", [47, 48, 49, 96, 97, 1000])
@pytest.mark.parametrize("text", ["x", "%41+"])
def test_text_of_an_override_for_a_parameter_of_any_size_is_its_decoded_value(size: int, text: str) -> None:
    value = (text * size)[:size]
    fingerprint, _ = key("query:u").fingerprint(head(f"/?u={value.replace('%', '%25').replace('+', '%2B')}"))
    assert key("query:u").fingerprint_of_text(value.encode()) == fingerprint


@pytest.mark.parametrize("text", [b"", b"sha256:", b"sha256:" + b"0g" * 32, b"sha512:" + b"00" * 32, b"00" * 32])
def test_text_that_is_no_digest_is_nobodys_key(text: bytes) -> None:
    digest = bytes(32)
    assert key("auth.key").fingerprint_of_text(text) != key("auth.key").fingerprint(PLAIN, digest=digest)[0]


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((), b"(all)"),
        (("client.ip",), b"192.0.2.1"),
        (("auth.tenant", "path", "method"), b"acme, /a, GET"),
        (("auth.key",), b"sha256:616161616161"),
        (("header:x-none",), b"(missing)"),
        (("constant:all",), b"all"),
        (("host",), b"gateway.test"),
    ],
)
def test_a_person_is_shown_the_parts_of_a_key(parts: tuple[str, ...], shown: bytes) -> None:
    assert key(*parts).shown(head("/a"), tenant=b"acme", digest=b"a" * 32) == shown


@pytest.mark.parametrize("part", ["header:x-token", "cookie:token", "query:token"])
def test_what_may_be_a_secret_is_shown_by_its_beginning_and_a_hash(part: str) -> None:
    secret = "swordfish-and-a-long-tail"
    fields = f"Host: a\r\nX-Token: {secret}\r\nCookie: token={secret}\r\n"
    shown = key(part).shown(head(f"/?token={secret}", fields)).decode()
    beginning, _, hashed = shown.partition("~")
    assert beginning == "swordf"
    assert len(hashed) == 8
    assert key(part, name="other").shown(head(f"/?token={secret}", fields)).decode() != shown
    assert key(part).shown(head(f"/?token={secret}", fields), shows_values=True).decode() == secret


def test_of_a_short_secret_hardly_anything_is_shown() -> None:
    assert key("header:x-pin").shown(head(fields="Host: a\r\nX-PIN: 1234\r\n")).startswith(b"1~")
    assert key("header:x-pin").shown(head(fields="Host: a\r\nX-PIN: 123\r\n")).startswith(b"~")


def test_what_is_shown_has_no_control_bytes_and_ends_where_there_is_no_room() -> None:
    assert key("auth.tenant").shown(PLAIN, tenant=b"a\x1b[2J\x7fb") == b"a?[2J?b"
    assert key("auth.tenant", "path").shown(PLAIN, tenant=b"x" * 100, room=10) == b"x" * 10
