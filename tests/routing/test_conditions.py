import pytest

from tidegate.routing.conditions import Conditions
from tidegate.routing.router import Router
from tidegate.routing.spec import RouteSpec

pytestmark = pytest.mark.sanitize


def header(wanted: str | bool, *fields: tuple[bytes, bytes], name: str = "X-Plan") -> bool:
    router = Router([RouteSpec(name="r", headers={name: wanted})])
    return router.look_up(b"GET", b"", b"/", b"", fields).name is not None


def query(wanted: str | bool, text: bytes, name: str = "v") -> bool:
    router = Router([RouteSpec(name="r", query={name: wanted})])
    return router.look_up(b"GET", b"", b"/", text).name is not None


@pytest.mark.parametrize("spelling", [b"X-Plan", b"x-plan", b"X_PLAN"])
def test_header_name_is_compared_by_its_identity(spelling: bytes) -> None:
    assert header("gold", (spelling, b"gold"))
    assert header(True, (spelling, b""))
    assert not header(False, (spelling, b""))
    assert header("gold", (b"X-Plan", b"gold"), name=spelling.decode())


@pytest.mark.parametrize("spelling", [b"X-Pla", b"X-Plans", b"X.Plan", b"", b"X-\xd0lan"])
def test_another_header_is_another_header(spelling: bytes) -> None:
    assert not header(True, (spelling, b"gold"))
    assert header(False, (spelling, b"gold"))


@pytest.mark.parametrize("value", [b"Gold", b"gold ", b"", b"goldfish", b"gol"])
def test_header_value_is_compared_as_it_is(value: bytes) -> None:
    assert not header("gold", (b"X-Plan", value))


def test_one_of_several_fields_is_enough() -> None:
    fields = ((b"X-Plan", b"free"), (b"X-Other", b"gold"), (b"x-plan", b"silver"))
    assert header("silver", *fields) and header("~^sil", *fields)
    assert not header("gold", *fields) and not header("~^g", *fields)


def test_regex_is_searched_for_in_bytes() -> None:
    assert header("~é$", (b"X-Plan", b"\xff" + "é".encode()))
    assert header("~ol", (b"X-Plan", b"gold"))


@pytest.mark.parametrize("text", [b"v=2", b"a=1&v=2", b"v=1&v=2", b"&&v=2&", b"%76=2", b"v=%32", b"V=1&v=2", b"v=2&v"])
def test_parameter_is_compared_decoded(text: bytes) -> None:
    assert query("2", text)
    assert query(True, text)
    assert query("~^2$", text)
    assert not query(False, text)


@pytest.mark.parametrize("text", [b"", b"V=2", b"vv=2", b"2", b"a=v", b"=2", b"&", b"a=1;v=2"])
def test_another_parameter_is_another_parameter(text: bytes) -> None:
    assert not query("2", text) and not query(True, text)
    assert query(False, text)


@pytest.mark.parametrize("text", [b"v=", b"v", b"v=22", b"v=%", b"v=2%", b"v=2=", b"v=%3", b"v=%zz"])
def test_another_value_is_another_value(text: bytes) -> None:
    assert not query("2", text)
    assert query(True, text)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [("a b", b"v=a+b"), ("a b", b"v=a%20b"), ("a+b", b"v=a%2Bb"), ("%", b"v=%"), ("%4", b"v=%4"), ("é", b"v=%c3%A9")],
)
def test_parameter_is_form_encoded(wanted: str, text: bytes) -> None:
    assert query(wanted, text)
    assert query("~^" + wanted.replace("+", r"\+") + "$", text)


def test_all_conditions_have_to_hold() -> None:
    router = Router([RouteSpec(name="r", headers={"A": "1", "B": False}, query={"c": True})])

    def fits(text: bytes, *fields: tuple[bytes, bytes]) -> bool:
        return router.look_up(b"GET", b"", b"/", text, fields).name is not None

    assert fits(b"c", (b"A", b"1"))
    assert not fits(b"", (b"A", b"1"))
    assert not fits(b"c")
    assert not fits(b"c", (b"A", b"1"), (b"B", b""))


def test_conditions_are_built_once() -> None:
    conditions = Conditions({"A": "1"}, {})
    with pytest.raises(RuntimeError):
        conditions.__init__({}, {})
