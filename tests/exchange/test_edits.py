"""Changes to heads, as they go out."""

from collections.abc import Callable

import pytest
from tests.exchange.filtered import HOST, get, look, received, sent

from tidegate import Headers, Request

Change = Callable[[Headers], object]


def put(name: str, value: str) -> Change:
    return lambda headers: headers.__setitem__(name, value)


def add(name: str, value: str) -> Change:
    return lambda headers: headers.add(name, value)


def remove(name: str) -> Change:
    return lambda headers: headers.__delitem__(name)


# What came is "X-A: 1" and "x-a: 2"; what the changes make of it.
CASES: dict[str, tuple[list[Change], list[str]]] = {
    "nothing": ([], ["1", "2"]),
    "set": ([put("X-A", "3")], ["3"]),
    "set in another spelling": ([put("x_a", "3")], ["3"]),
    "set twice": ([put("X-A", "3"), put("x-a", "4")], ["4"]),
    "add": ([add("X-A", "3")], ["1", "2", "3"]),
    "add twice": ([add("X-A", "3"), add("X-A", "4")], ["1", "2", "3", "4"]),
    "add, set": ([add("X-A", "3"), put("X-A", "4")], ["4"]),
    "set, add": ([put("X-A", "3"), add("X-A", "4")], ["3", "4"]),
    "set, add, add": ([put("X-A", "3"), add("X-A", "4"), add("X-A", "5")], ["3", "4", "5"]),
    "remove": ([remove("X-A")], []),
    "remove in another spelling": ([remove("x_A")], []),
    "remove twice": ([remove("X-A"), remove("X-A")], []),
    "remove, add": ([remove("X-A"), add("X-A", "3")], ["3"]),
    "remove, set": ([remove("X-A"), put("X-A", "3")], ["3"]),
    "set, remove": ([put("X-A", "3"), remove("X-A")], []),
    "add, remove": ([add("X-A", "3"), remove("X-A")], []),
    "add, remove, add": ([add("X-A", "3"), remove("X-A"), add("X-A", "4")], ["4"]),
    "set to nothing": ([put("X-A", "")], [""]),
    "of another name": ([put("X-B", "3"), remove("X-C"), add("X-AA", "4")], ["1", "2"]),
    "of a name 64 bytes longer": ([remove("X-A" + "a" * 64)], ["1", "2"]),
}
LINES = "X-A: 1\r\nX-B: b\r\nx-a: 2\r\nX-C: c\r\n"


def values(fields: list[tuple[str, str]]) -> list[str]:
    return [value for name, value in fields if name.lower().replace("_", "-") == "x-a"]


@pytest.mark.parametrize("case", CASES)
def test_changes_to_a_request_go_to_the_upstream(case: str) -> None:
    changes, expected = CASES[case]

    def change(request: Request) -> None:
        for one in changes:
            one(request.headers)

    assert values(sent(change, get(headers=LINES))) == expected


@pytest.mark.parametrize("case", CASES)
def test_changes_to_an_answer_go_to_the_client(case: str) -> None:
    changes, expected = CASES[case]
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + LINES.encode() + b"\r\nok"
    assert values(received(lambda response: [one(response.headers) for one in changes][:0], answer)) == expected


@pytest.mark.parametrize("case", CASES)
def test_filter_reads_what_it_changed(case: str) -> None:
    changes, expected = CASES[case]

    def see(request: Request) -> None:
        headers = request.headers
        for one in changes:
            one(headers)
        assert headers.get_all("x-A") == expected
        assert headers.get("X_a") == (expected[0] if expected else None)
        assert headers.get("X-A", 7) == (expected[0] if expected else 7)
        assert ("x-a" in headers) is bool(expected)
        assert values(headers.items()) == expected
        assert len(headers) == len(list(headers)) == len(headers.items())

    look(see, get(headers=LINES))


def test_order_is_what_came_then_what_was_changed_in_order() -> None:
    def change(request: Request) -> None:
        request.headers["X-New"] = "1"
        request.headers["X-B"] = "2"
        request.headers.add("X-New", "3")

    fields = sent(change, get(headers=LINES))
    ours = [field for field in fields if field[0].lower() in {"x-a", "x-b", "x-c", "x-new"}]
    assert ours == [("X-A", "1"), ("x-a", "2"), ("X-C", "c"), ("X-New", "1"), ("X-B", "2"), ("X-New", "3")]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "\0", "a\x7fb", "a\x1fb"])
def test_value_with_control_bytes_is_refused(value: str) -> None:
    def see(request: Request) -> None:
        for change in (put("X-A", value), add("X-A", value)):
            with pytest.raises(ValueError, match="control characters"):
                change(request.headers)
        assert "X-A" not in request.headers

    look(see)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\0", "ä", "a\n", "(a)"])
def test_name_that_is_no_token_is_refused(name: str) -> None:
    def see(request: Request) -> None:
        for change in (put(name, "1"), add(name, "1"), remove(name)):
            with pytest.raises(ValueError, match="name of a header field"):
                change(request.headers)

    look(see)


@pytest.mark.parametrize(("name", "value"), [("X-A", 1), (b"X-A", "1"), ("X-A", None), (1, "1"), ("X-A", b"1")])
def test_name_and_value_are_text(name: object, value: object) -> None:
    def see(request: Request) -> None:
        with pytest.raises(TypeError, match="are str"):
            request.headers[name] = value  # type: ignore[index, assignment]

    look(see)


def test_value_travels_as_latin_1() -> None:
    def change(request: Request) -> None:
        assert request.headers["X-Came"] == "grün"
        request.headers["X-Set"] = "groß"
        with pytest.raises(ValueError, match="latin-1"):
            request.headers["X-Set"] = "€"

    fields = dict(sent(change, b"GET / HTTP/1.1\r\n" + HOST + "X-Came: grün\r\n\r\n".encode("latin-1")))
    assert (fields["X-Came"], fields["X-Set"]) == ("grün", "groß")


def test_large_value_goes_through_and_a_larger_one_is_refused() -> None:
    large = "v" * 60_000

    def change(request: Request) -> None:
        request.headers["X-Large"] = large
        with pytest.raises(ValueError, match="over 65536 bytes"):
            request.headers.add("X-More", large)

    assert dict(sent(change))["X-Large"] == large


def test_changes_without_end_are_refused() -> None:
    def see(request: Request) -> None:
        with pytest.raises(ValueError, match="over 1000 changes"):  # noqa: PT012
            for number in range(2000):
                request.headers["X-A"] = str(number)
        assert request.headers.get_all("X-A") == ["999"]

    look(see)


def test_many_changes_are_kept_apart() -> None:
    def change(request: Request) -> None:
        for number in range(500):
            request.headers[f"X-N{number}"] = str(number)

    fields = dict(sent(change))
    assert all(fields[f"X-N{number}"] == str(number) for number in range(500))


FRAMING = [
    "Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
    "Content_Length",
]  # fmt: skip


@pytest.mark.parametrize("name", FRAMING)
def test_framing_is_no_business_of_a_filter(name: str) -> None:
    """A length of its own choice would let a filter make two messages of one."""

    def see(request: Request) -> None:
        for change in (put(name, "3"), add(name, "3"), remove(name)):
            with pytest.raises(ValueError, match="is the gateway's"):
                change(request.headers)

    look(see)
    received(lambda response: see(response))  # type: ignore[arg-type] # noqa: PLW0108


def test_host_can_be_set_but_not_removed() -> None:
    def change(request: Request) -> None:
        with pytest.raises(ValueError, match="has a Host"):
            del request.headers["host"]
        request.headers["Host"] = "one.test"
        request.headers.add("Host", "two.test")
        assert request.headers.get_all("host") == ["two.test"]

    for route in ("", "preserve_host = false"):
        fields = sent(change, route=route)
        assert [value for name, value in fields if name.lower() == "host"] == ["two.test"]


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via", "X-Request-ID"]
)
@pytest.mark.parametrize("server", ["", 'trusted_proxies = ["127.0.0.0/8"]'])
def test_field_of_the_gateway_can_be_replaced_and_removed(name: str, server: str) -> None:
    request = get(headers=f"{name}: came\r\n")

    def count(fields: list[tuple[str, str]]) -> list[str]:
        return [value for known, value in fields if known.lower() == name.lower()]

    def change(request: Request) -> None:
        request.headers[name.lower()] = "mine"

    def take_away(request: Request) -> None:
        del request.headers[name]

    assert count(sent(change, request, server=server)) == ["mine"]
    assert count(sent(take_away, request, server=server)) == []
    others = {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via", "X-Request-ID"} - {name}
    assert others <= {known for known, _ in sent(change, request, server=server)}
