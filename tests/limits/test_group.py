"""Limits that are asked as one: whatever refuses, whatever else is charged or not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.limits.laid_out import MEMORY, laid_out

from tidegate.config.allotment import room_of
from tidegate.config.limits import STEP_MAX
from tidegate.config.limits import Limit as Settings
from tidegate.limits.group import Group
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

NOW_NS = 10**12
MINUTE_NS = 60 * 10**9


def head(path: str = "/", user: str = "ann") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n".encode()


def grouped(region: Region, **limits: Settings) -> Group:
    return Group(laid_out(region, **limits))


def left(group: Group, request: bytes, now_ns: int) -> list[int]:
    """How many more each limit would let in by itself, counted by asking it until it refuses."""
    counts = []
    for one in group.limits:
        alone = Group((one,))
        count = 0
        while alone.ask(request, now_ns)[0] is None:
            count += 1
        counts.append(count)
    return counts


def test_refused_request_is_charged_nowhere(region: Region) -> None:
    group = grouped(
        region,
        first=Settings(rate="1/min", burst=9),
        middle=Settings(rate="1/min", key=("header:X-User",), keys=1000),
        last=Settings(rate="1/min", burst=4),
    )
    assert group.ask(head(), NOW_NS) == (None, 0)
    for _ in range(20):
        assert group.ask(head(), NOW_NS) == ("middle", 0)
    assert left(group, head(user="bob"), NOW_NS) == [9, 1, 4]


def test_look_changes_nothing(region: Region) -> None:
    group = grouped(region, only=Settings(rate="1/min", burst=2))
    assert [group.peek(head(), NOW_NS) for _ in range(10)] == [None] * 10
    assert left(group, head(), NOW_NS) == [3]
    assert group.peek(head(), NOW_NS) == "only"


def test_wait_of_a_group_is_the_longest_of_its_members(region: Region) -> None:
    group = grouped(
        region,
        slow=Settings(rate="1/min", burst=5, excess="delay"),
        fast=Settings(rate="1/s", burst=5, excess="delay"),
    )
    assert [group.ask(head(), NOW_NS)[1] for _ in range(3)] == [0, MINUTE_NS, 2 * MINUTE_NS]


def test_dry_run_neither_refuses_nor_makes_wait(region: Region) -> None:
    group = grouped(
        region,
        dry=Settings(rate="1/min", burst=1, excess="delay", dry_run=True),
        real=Settings(rate="1/min", burst=3),
    )
    assert [group.ask(head(), NOW_NS) for _ in range(5)] == [(None, 0)] * 4 + [("real", 0)]


def test_more_limits_than_one_step_may_have_are_refused(region: Region) -> None:
    one = grouped(region, only=Settings(rate="1/s")).limits[0]
    assert len(Group((one,) * 16)) == 16
    with pytest.raises(ValueError, match="at most 16"):
        Group((one,) * 17)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=30),
    st.tuples(st.sampled_from("ab"), st.sampled_from("xy")),
)
def test_charges_are_admissions_whatever_is_asked(
    shapes: list[tuple[int, bool]], requests: list[tuple[str, str]], probe: tuple[str, str]
) -> None:
    """At one moment nothing leaks away, so what is left of each limit is its burst and one, less who was let in."""
    region = Region.create(1, **room_of(MEMORY))
    limits = {
        f"limit{number}": Settings(rate="1/d", burst=burst, key=("header:X-User",) if by_user else ("path",), keys=100)
        for number, (burst, by_user) in enumerate(shapes)
    }
    group = grouped(region, **limits)
    admitted = [(path, user) for path, user in requests if group.ask(head(f"/{path}", user), NOW_NS)[0] is None]
    assert left(group, head(f"/{probe[0]}", probe[1]), NOW_NS) == [
        burst + 1 - sum(one[by_user] == probe[by_user] for one in admitted) for burst, by_user in shapes
    ]
    region.close()


def test_group_has_room_for_as_many_as_the_check_lets_through(region: Region) -> None:
    limits = {f"l{number}": Settings(rate="1/min") for number in range(STEP_MAX)}
    assert len(grouped(region, **limits)) == STEP_MAX
    with pytest.raises(ValueError, match="at most"):
        grouped(region, **limits, one_more=Settings(rate="1/min"))
