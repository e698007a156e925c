"""The BPF programs on real sockets."""

import contextlib
import select
import socket

import pytest

from tidegate.process.steering import admit_nobody, steer


@pytest.fixture
def group():
    with contextlib.ExitStack() as stack:
        members = []
        where = ("127.0.0.1", 0)
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(where)
            one.listen(512)
            one.setblocking(False)
            where = one.getsockname()
            members.append(one)
        yield members


def accepted(member):
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            member.accept()[0].close()
            count += 1
    return count


def connect(members, count):
    for _ in range(count):
        socket.create_connection(members[0].getsockname(), timeout=60).close()


def test_connections_go_to_live_slots_only_and_to_each_of_them(group):
    steer(group[0], [0, 2, 3])
    connect(group, 120)
    shares = [accepted(member) for member in group]
    assert shares[1] == 0
    assert sum(shares) == 120
    # 40 each on the mean; fewer than 15 has a chance of one in a million
    assert min(shares[0], shares[2], shares[3]) >= 15


def test_a_new_program_leaves_what_waits_where_it_is(group):
    steer(group[0], [1])
    connect(group, 10)
    steer(group[0], [2])
    connect(group, 10)
    assert [accepted(member) for member in group] == [0, 10, 10, 0]


def test_steering_needs_a_slot(group):
    with pytest.raises(ValueError, match="at least one"):
        steer(group[0], [])


def test_a_kernel_that_takes_no_program_says_so():
    with socket.socket(socket.AF_UNIX) as no_group, pytest.raises(OSError, match=r"."):
        steer(no_group, [0])


def test_a_closed_door_keeps_new_connections_out_and_the_queue_whole(group):
    steer(group[0], [0])
    connect(group, 5)
    admit_nobody(group[0])
    with socket.socket() as late:
        late.setblocking(False)
        late.connect_ex(group[0].getsockname())
        assert not select.select([], [late], [], 0.1)[1]
    assert accepted(group[0]) == 5
