"""Memory in use over its bound, from files as the kernel makes them."""

import os
from pathlib import Path

import pytest

from tidegate.config.shedding import MemoryLevel
from tidegate.observe.memory_use import MemoryUse

MIB = 1 << 20


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A process in /a/b: version 2, and no bound anywhere."""
    put(tmp_path / "proc/self", statm="9000 3000 1000 1 0 2000 0\n", cgroup="0::/a/b\n")
    put(tmp_path / "proc", meminfo="MemTotal:   1000 kB\nMemFree: 10 kB\nMemAvailable:    250 kB\n")
    for folder in ("a", "a/b"):
        put(tmp_path / "groups" / folder, memory__max="max\n", memory__current=f"{80 * MIB}\n")
    return tmp_path


def pressure(machine: Path, *, size: int = 0, share: float = 0.0) -> float:
    level = MemoryLevel(size, share)
    return MemoryUse(level, proc=str(machine / "proc"), groups=str(machine / "groups")).pressure()


def bound(folder: Path, most: int, used: int, given_back: int = 0) -> None:
    put(
        folder,
        memory__max=f"{most}\n",
        memory__current=f"{used}\n",
        memory__stat=f"anon 1\ninactive_file {given_back}\nactive_file 3\n",
    )


def test_own_memory_is_what_is_shared_with_nobody(machine: Path) -> None:
    assert pressure(machine, size=4000 * os.sysconf("SC_PAGE_SIZE")) == 0.5


def test_share_is_of_the_fullest_group_around_the_process_without_what_can_be_taken_back(machine: Path) -> None:
    bound(machine / "groups/a/b", 100 * MIB, 80 * MIB, 40 * MIB)
    assert pressure(machine, share=0.8) == pytest.approx(0.5)
    bound(machine / "groups/a", 200 * MIB, 180 * MIB, 20 * MIB)
    assert pressure(machine, share=0.8) == pytest.approx(1.0)


def test_share_is_of_the_machine_where_no_group_has_a_bound(machine: Path) -> None:
    assert pressure(machine, share=0.5) == pytest.approx(1.5)


def test_groups_of_version_one_are_known(machine: Path) -> None:
    put(machine / "proc/self", cgroup="5:cpu,cpuacct:/x\n4:memory:/pod/c\n0::/\n")
    put(
        machine / "groups/memory/pod",
        memory__limit_in_bytes=f"{(1 << 63) - 4096}\n",
        memory__usage_in_bytes="9\n",
        memory__stat="",
    )
    put(
        machine / "groups/memory/pod/c",
        memory__limit_in_bytes=f"{100 * MIB}\n",
        memory__usage_in_bytes=f"{95 * MIB}\n",
        memory__stat=f"inactive_file 1\ntotal_inactive_file {5 * MIB}\n",
    )
    assert pressure(machine, share=0.9) == pytest.approx(1.0)


def test_what_cannot_be_read_refuses_nobody(tmp_path: Path) -> None:
    assert pressure(tmp_path, share=0.5) == 0
    assert pressure(tmp_path, size=MIB) == 0


def test_this_process_has_some_memory() -> None:
    assert 0 < MemoryUse(MemoryLevel(size=1 << 40)).pressure() < 1
    assert 0 < MemoryUse(MemoryLevel(share=1.0)).pressure() < 1
    assert "of MemoryLevel(size=1048576" in repr(MemoryUse(MemoryLevel(size=MIB)))
