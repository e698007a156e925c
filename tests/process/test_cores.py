import os

import pytest

from tidegate.process.cores import quota_cores, usable_cores


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
