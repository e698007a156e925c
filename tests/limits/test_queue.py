"""The waiting room: order, shares, bounds; and the same answers as a plain list that is searched from end to end."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.limits.queue import CLASSES, WaitingRoom

MS = 1_000_000


@pytest.fixture
def room():
    return WaitingRoom(size=100, timeout_ns=500 * MS, target_ns=20 * MS)


def served(room, class_, now_ns, names):
    order = []
    while (waiter := room.serve(class_, now_ns)) is not None:
        order.append(names[waiter])
    return order


def enter_all(room, names, *, class_=0, now_ns=0, step_ns=MS, weights=None):
    """A waiter for each name, a millisecond apart; what stands before the dot is the tenant."""
    entered = {}
    for i, name in enumerate(names):
        tenant = name.split(".")[0]
        weight = (weights or {}).get(tenant, 1)
        entered[room.enter(tenant, class_, weight, now_ns + i * step_ns)] = name
    return entered


def test_first_come_first_served_while_the_queue_moves(room):
    names = enter_all(room, ["a.1", "a.2", "a.3"])
    assert served(room, 0, 20 * MS, names) == ["a.1", "a.2", "a.3"]
    assert room.serve(0, 20 * MS) is None


def test_who_comes_out_of_another_queue_has_the_place_of_when_it_began_to_wait(room):
    names = enter_all(room, ["a.1", "a.3", "a.4"], step_ns=10 * MS)
    names |= enter_all(room, ["a.2"], now_ns=5 * MS)
    assert names[room.newest(0)] == "a.4"
    assert [names[waiter] for waiter in room.expire(505 * MS)] == ["a.1", "a.2"]
    names |= enter_all(room, ["a.0"], now_ns=9 * MS)
    assert served(room, 0, 20 * MS, names) == ["a.0", "a.3", "a.4"]


def test_last_come_first_served_once_the_oldest_is_older_than_the_target(room):
    names = enter_all(room, ["a.1", "a.2", "a.3"])
    assert not room.statistics(20 * MS).is_standing
    assert room.statistics(20 * MS + 1).is_standing
    assert names[room.serve(0, 20 * MS + 1)] == "a.3"
    assert names[room.serve(0, 20 * MS + 1)] == "a.2"
    names |= enter_all(room, ["a.4"], now_ns=21 * MS)
    assert names[room.serve(0, 21 * MS)] == "a.4", "the oldest is still there"
    assert names[room.serve(0, 21 * MS)] == "a.1"
    names |= enter_all(room, ["a.5", "a.6"], now_ns=30 * MS)
    assert names[room.serve(0, 40 * MS)] == "a.5", "the queue that stood is gone"


def test_order_turns_for_the_class_that_stands_only(room):
    old = enter_all(room, ["a.1", "a.2"], class_=1)
    new = enter_all(room, ["a.3", "a.4"], class_=0, now_ns=15 * MS)
    assert served(room, 1, 22 * MS, old) == ["a.2", "a.1"]
    assert served(room, 0, 22 * MS, new) == ["a.3", "a.4"]


def test_one_tenant_that_floods_waits_behind_itself(room):
    names = enter_all(room, [f"flood.{i}" for i in range(50)], step_ns=0)
    names |= enter_all(room, ["quiet.1", "quiet.2"], now_ns=MS)
    order = served(room, 0, 2 * MS, names)
    assert order.index("quiet.1") == 1
    assert order.index("quiet.2") == 3
    assert [name for name in order if name.startswith("flood")] == [f"flood.{i}" for i in range(50)]


def test_tenants_are_served_by_their_weights(room):
    entered = enter_all(room, [f"{t}.{i}" for i in range(30) for t in "ab"], step_ns=0, weights={"a": 3, "b": 1})
    first = [entered[room.serve(0, 0)][0] for _ in range(20)]
    assert first.count("a") == 15
    assert all(first[i : i + 8].count("b") in (1, 2, 3) for i in range(12)), "and that all along, not at the end"


def test_a_tenant_that_comes_back_has_not_saved_up_and_does_not_begin_anew(room):
    names = enter_all(room, [f"a.{i}" for i in range(6)] + ["b.0"], step_ns=0)
    assert [names[room.serve(0, 0)] for _ in range(4)] == ["a.0", "b.0", "a.1", "a.2"]
    names |= enter_all(room, [f"b.{i}" for i in range(1, 4)], step_ns=0)
    assert served(room, 0, 0, names) == ["b.1", "a.3", "b.2", "a.4", "b.3", "a.5"]


def test_the_room_is_bounded_over_all_classes():
    room = WaitingRoom(size=3, timeout_ns=MS, target_ns=MS)
    first = [room.enter("a", class_, 1, 0) for class_ in (0, 1, 3)]
    assert room.enter("b", 0, 1, 0) is None
    assert (len(room), repr(room)) == (3, "<WaitingRoom 3/3 waiting>")
    assert room.leave(first[1])
    assert room.enter("b", 0, 1, 0) is not None
    assert WaitingRoom(0, MS, MS).enter("a", 0, 1, 0) is None


def test_who_has_left_or_was_served_is_not_there_any_more(room):
    one, other = enter_all(room, ["a.1", "a.2"])
    assert room.leave(one)
    assert not room.leave(one)
    assert room.serve(0, MS) is other
    assert not room.leave(other)
    assert len(room) == 0


def test_the_newest_of_a_class_is_told_and_everybody_can_be_sent_away(room):
    names = enter_all(room, ["a.1", "b.1", "a.2"]) | enter_all(room, ["c.1"], class_=3)
    assert names[room.newest(0)] == "a.2"
    assert room.newest(1) is None
    assert [names[waiter] for waiter in room.clear()] == ["a.1", "b.1", "a.2", "c.1"]
    assert len(room) == 0
    assert room.newest(0) is None


def test_who_has_waited_too_long_is_taken_out(room):
    names = enter_all(room, ["a.1", "b.1", "a.2"], step_ns=10 * MS)
    names |= enter_all(room, ["a.3"], class_=2, now_ns=5 * MS)
    assert room.next_timeout_ns() == 500 * MS
    assert room.expire(500 * MS - 1) == []
    assert [names[waiter] for waiter in room.expire(510 * MS)] == ["a.1", "b.1", "a.3"]
    assert room.next_timeout_ns() == 520 * MS
    assert room.statistics(515 * MS) == ((1, 0, 0, 0), 1, 495 * MS, True)
    assert [names[waiter] for waiter in room.expire(10**12)] == ["a.2"]
    assert room.next_timeout_ns() is None
    assert room.statistics(10**12) == ((0, 0, 0, 0), 0, 0, False)


@dataclass
class Plain:
    """The same rules over a list, each answer from a search of all of it."""

    size: int
    timeout_ns: int
    target_ns: int
    waiting: list = field(default_factory=list)  # (number, class, tenant, weight, arrived)
    virtual: dict = field(default_factory=lambda: dict.fromkeys(range(CLASSES), 0.0))
    tags: dict = field(default_factory=dict)  # (class, tenant): (tag, turn)
    turn: int = 0

    def enter(self, number, tenant, class_, weight, now):
        if len(self.waiting) >= self.size:
            return False
        if (class_, tenant) not in self.tags:
            self.turn += 1
            self.tags[class_, tenant] = (self.virtual[class_], self.turn)
        self.waiting.append((number, class_, tenant, weight, now))
        return True

    def serve(self, class_, now):
        mine = [one for one in self.waiting if one[1] == class_]
        if not mine:
            return None
        tag, turn, tenant = min((*self.tags[class_, one[2]], one[2]) for one in mine)
        for key, known in list(self.tags.items()):
            if key[0] == class_ and known < (tag, turn):
                del self.tags[key]
        candidates = [one for one in mine if one[2] == tenant]
        chosen = candidates[-1] if now - mine[0][4] > self.target_ns else candidates[0]
        self.virtual[class_] = tag
        self.turn += 1
        self.tags[class_, tenant] = (tag + 1 / chosen[3], self.turn)
        self.remove([chosen])
        return chosen[0]

    def expire(self, now):
        late = sorted((one for one in self.waiting if now - one[4] >= self.timeout_ns), key=lambda one: one[1])
        self.remove(late)
        return [one[0] for one in late]

    def remove(self, gone):
        self.waiting = [one for one in self.waiting if one not in gone]
        for class_ in {one[1] for one in gone} - {one[1] for one in self.waiting}:
            self.virtual[class_] = 0.0
            self.tags = {key: known for key, known in self.tags.items() if key[0] != class_}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from("abc"), st.integers(0, CLASSES - 1), st.sampled_from([1, 2, 4])),
        st.tuples(st.just("serve"), st.integers(0, CLASSES - 1)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("expire")),
        st.tuples(st.just("later"), st.integers(0, 12)),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_any_sequence_gives_what_a_plain_list_gives(steps):
    room, plain = WaitingRoom(12, 40, 15), Plain(12, 40, 15)
    numbers, known, now = {}, {}, 0
    for what, *arguments in steps:
        if what == "later":
            now += arguments[0]
        elif what == "enter":
            number = len(known)
            known[number] = waiter = room.enter(*arguments, now)
            numbers[waiter] = number
            assert plain.enter(number, *arguments, now) == (waiter is not None)
        elif what == "serve":
            waiter = room.serve(arguments[0], now)
            assert plain.serve(arguments[0], now) == (None if waiter is None else numbers[waiter])
        elif what == "expire":
            assert [numbers[waiter] for waiter in room.expire(now)] == plain.expire(now)
        elif (waiter := known.get(arguments[0])) is not None:
            there = [one for one in plain.waiting if one[0] == arguments[0]]
            assert room.leave(waiter) == bool(there)
            plain.remove(there)
        assert len(room) == len(plain.waiting)
        assert [room.waiting(c) for c in range(CLASSES)] == [
            sum(one[1] == c for one in plain.waiting) for c in range(CLASSES)
        ]


def test_lines_by_different_bounds_share_the_turns_of_their_class(room):
    entered = {}
    for at, (tenant, which) in enumerate([("a", 0), ("a", 0), ("b", 1), ("a", 1), ("c", 0)]):
        entered[room.enter(tenant, 0, 1, at, which)] = f"{tenant}{which}"
    assert room.bounds(0) == [0, 1]
    assert room.bounds(1) == []
    assert entered[room.serve(0, 10, 1)] == "b1", "who asks by the other bound is passed over"
    assert room.bounds(0) == [0, 1]
    assert [entered[room.serve(0, 10)] for _ in range(2)] == ["a0", "a1"], "one of each in turn"
    assert room.serve(0, 10, 1) is None
    assert room.statistics(10).tenants == 2
    assert [entered[room.serve(0, 10)] for _ in range(2)] == ["c0", "a0"]
    assert room.bounds(0) == []
