import os
import signal

import pytest
from tests.process.upgradable import upgradable

from tidegate.config.server import Server
from tidegate.process.cores import cores_of, pin, quota_cores, usable_cores


@pytest.fixture
def group(tmp_path):
    """A process two groups below the root, as in a container."""
    root = tmp_path / "cgroup"
    (root / "pod" / "container").mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("0::/pod/container\n")
    return membership, root


def test_smallest_quota_on_the_way_to_the_root_counts(group):
    membership, root = group
    (root / "pod" / "container" / "cpu.max").write_text("max 100000\n")
    (root / "pod" / "cpu.max").write_text("150000 100000\n")
    assert quota_cores(membership, root) == 1.5


def test_no_quota_anywhere(group):
    membership, root = group
    (root / "pod" / "container" / "cpu.max").write_text("max 100000\n")
    assert quota_cores(membership, root) is None


def test_without_cgroup_2_there_is_none(tmp_path):
    membership = tmp_path / "membership"
    assert quota_cores(membership, tmp_path) is None
    membership.write_text("12:cpu,cpuacct:/docker/1\n")
    assert quota_cores(membership, tmp_path) is None


def test_never_more_than_the_affinity_mask():
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


def test_each_worker_has_its_cores_and_auto_goes_round():
    assert cores_of(Server(), 1, {4, 2}) is None
    assert [cores_of(Server(affinity="auto"), worker, {4, 2}) for worker in range(3)] == [{2}, {4}, {2}]
    lists = Server(workers=2, affinity=((0,), (1, 2)))
    assert [cores_of(lists, worker, {0, 1, 2}) for worker in range(2)] == [{0}, {1, 2}]


def test_core_that_was_taken_away_is_said_and_the_worker_goes_on():
    said = []
    before = os.sched_getaffinity(0)
    absent = max(before) + 1000
    pin(Server(workers=1, affinity=((absent,),)), 0, lambda kind, message, *rest: said.append((kind, message)))
    assert os.sched_getaffinity(0) == before
    assert said == [("affinity_failed", f"cannot run on core {absent} (Invalid argument); it runs on any")]


@pytest.mark.e2e
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core only: every worker has it")
def test_workers_run_on_the_cores_they_are_given(tmp_path):
    first, second = sorted(os.sched_getaffinity(0))[:2]
    by_list = ((second,), (first, second))
    for affinity, expected in (("auto", [{first}, {second}]), (by_list, [{second}, {first, second}])):
        with upgradable(tmp_path, affinity=affinity) as it:
            assert [os.sched_getaffinity(pid) for pid in it.workers(1)] == expected
            (control,) = it.gateway.control()
            for other in (control, it.gateway.pid):
                assert os.sched_getaffinity(other) == os.sched_getaffinity(0)
            os.kill(it.workers(1)[0], signal.SIGKILL)
            it.gateway.hear("worker 0 is gone")
            assert it.upgrade()["phase"] == "done"
            assert [os.sched_getaffinity(pid) for pid in it.workers(2)] == expected
