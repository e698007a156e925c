import os
import resource

from tidegate.doctor.machine import descriptors_of_process, read_machine


def test_this_machine_is_read_as_it_is():
    found = read_machine()
    assert found.kernel.ports and found.somaxconn and found.memory_total
    assert found.cores_usable == len(os.sched_getaffinity(0))
    assert 0 < found.memory_share < 1
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert found.descriptors_hard == (1 << 30 if hard == resource.RLIM_INFINITY else hard)
    assert found.is_clock_synchronised in (True, False, None)


def test_a_machine_that_hides_everything_is_no_error(tmp_path):
    found = read_machine(proc=str(tmp_path), sys=str(tmp_path), shm=str(tmp_path / "none"))
    assert found.kernel.ports is None and found.kernel.links == ()
    hidden = (
        found.somaxconn, found.tcp_tw_reuse, found.conntrack_max, found.clocksource, found.cores_quota,
        found.cpu_pressure, found.memory_total, found.memory_share, found.swap_used, found.is_huge_pages_always,
        found.tmpfs,
    )  # fmt: skip
    assert set(hidden) == {None}


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_written_there_is_understood(tmp_path):
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    write(
        proc,
        sys__net__ipv4__tcp_tw_reuse="2\n",
        sys__net__netfilter__nf_conntrack_count="9\n",
        sys__net__netfilter__nf_conntrack_max="10\n",
        pressure__cpu="some avg10=1.00 avg60=12.50 avg300=0.00 total=1\nfull avg10=0.00\n",
        meminfo="MemTotal:  1000 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\nHugePages_Total: 0\n",
        self__cgroup="0::/\n",
    )
    write(
        sys,
        kernel__mm__transparent_hugepage__enabled="[always] madvise never\n",
        devices__system__clocksource__clocksource0__current_clocksource="hpet\n",
    )
    found = read_machine(proc=str(proc), sys=str(sys), shm=str(tmp_path))
    assert (found.tcp_tw_reuse, found.conntrack_count, found.conntrack_max) == (2, 9, 10)
    assert (found.cpu_pressure, found.memory_total, found.swap_used) == (0.125, 1000 * 1024, 60 * 1024)
    assert (found.memory_share, found.clocksource, found.is_huge_pages_always) == (0.75, "hpet", True)
    assert found.tmpfs.path == str(tmp_path) and found.tmpfs.free <= found.tmpfs.size


def test_what_makes_no_sense_is_not_known(tmp_path):
    write(tmp_path, pressure__cpu="some avg60=x", meminfo="MemTotal\nSwapTotal: x kB\n", sys__net__core__somaxconn="?")
    found = read_machine(proc=str(tmp_path), sys=str(tmp_path))
    assert (found.cpu_pressure, found.memory_total, found.somaxconn) == (None, None, None)


def test_descriptors_of_a_process_and_of_none(tmp_path):
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert descriptors_of_process(os.getpid()) in (soft, None if soft == resource.RLIM_INFINITY else soft)
    assert descriptors_of_process(1, proc=str(tmp_path)) is None
