"""Which class a request is of: what route, key and request say, and who is believed."""

import pytest

from tidegate.config.classes import Classes as Settings
from tidegate.limits.classes import Classes

pytestmark = pytest.mark.sanitize

NAMES = ("critical", "live", "batch")


def head(*fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: h", *fields, "")).encode()


def test_request_of_which_nothing_is_said_is_of_the_last_class_or_of_the_default() -> None:
    assert Classes(Settings(names=NAMES)).class_of(head()) == "batch"
    assert Classes(Settings(names=NAMES, default="live")).class_of(head()) == "live"
    assert Classes(Settings()).class_of(head()) == ""
    assert Classes(Settings()).count == 1


def test_route_says_more_than_the_default_and_the_key_more_than_the_route() -> None:
    classes = Classes(Settings(names=NAMES, default="live", priorities={"critical": 10, "batch": -5}))
    assert classes.class_of(head(), route_class="batch") == "batch"
    for priority, found in ((11, "critical"), (10, "critical"), (9, "batch"), (-5, "batch")):
        assert classes.class_of(head(), route_class="live", priority=priority) == found
    assert classes.class_of(head(), route_class="live", priority=-6) == "live", "no class is for such keys"
    without = Classes(Settings(names=NAMES))
    assert without.class_of(head(), route_class="live", priority=1000) == "live"


@pytest.mark.parametrize(
    ("fields", "lowered", "raised"),
    [
        (["X-Class: batch"], "batch", "batch"),
        (["x-class: critical"], "live", "critical"),
        (["X-Class: live"], "live", "live"),
        (["X-Class: Critical"], "live", "live"),
        (["X-Class: criticalx"], "live", "live"),
        (["X-Class:"], "live", "live"),
        (["X-Class: batch", "X-Class: critical"], "live", "live"),
        (["X-Other: batch"], "live", "live"),
    ],
)
def test_request_can_make_itself_less_important_and_more_only_where_that_is_allowed(
    fields: list[str], lowered: str, raised: str
) -> None:
    for header_raises, expected in ((False, lowered), (True, raised)):
        classes = Classes(Settings(names=NAMES, default="live", header="X-Class", header_raises=header_raises))
        assert classes.class_of(head(*fields)) == expected
    assert Classes(Settings(names=NAMES, default="live")).class_of(head(*fields)) == "live"


def test_more_classes_than_are_counted_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 4"):
        Classes(Settings(names=("a", "b", "c", "d", "e")))
