"""What is read from /proc and sysfs: of this machine, and of one whose files are written here."""

import os
import socket
import time
from pathlib import Path

import pytest

from tidegate.observe.kernel import Kernel, LinkFigures

FILES = {
    "proc/net/sockstat": "sockets: used 21\nTCP: inuse 7 orphan 0 tw 24867 alloc 7 mem 0\nUDP: inuse 0 mem 0\n",
    "proc/net/sockstat6": "TCP6: inuse 5\nUDP6: inuse 0\n",
    "proc/net/snmp": "Ip: Forwarding\nIp: 1\nTcp: RtoMin RetransSegs OutSegs InErrs\nTcp: 200 31 4096 0\n",
    "proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 17 19\nIpExt: A\nIpExt: 0\n",
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "proc/sys/fs/file-nr": "1376\t0\t9223372036854775807\n",
    "proc/net/dev": "Inter-| Receive | Transmit\n face |bytes ... |bytes ...\n"
    "    lo: 5 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n"
    "  eth0:1000 1 0 0 0 0 0 0 2000 2 0 0 0 0 0 0\n"
    " veth9: 30 1 0 0 0 0 0 0 40 2 0 0 0 0 0 0\n",
    "sys/class/net/eth0/speed": "10000\n",
    "sys/class/net/veth9/speed": "-1\n",
}


@pytest.fixture
def machine(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def kernel_of(machine, **settings):
    return Kernel(proc=str(machine / "proc"), sys=str(machine / "sys"), **settings)


def test_every_figure_is_found(machine):
    figures = kernel_of(machine, clock_ns=lambda: 5).read()
    assert (figures.at_ns, figures.sockets_in_use, figures.time_wait) == (5, 12, 24867)
    assert (figures.listen_overflows_total, figures.listen_drops_total) == (17, 19)
    assert (figures.retransmitted_segments_total, figures.sent_segments_total) == (31, 4096)
    assert (figures.first_port, figures.last_port, figures.ports) == (32768, 60999, 28232)
    assert (figures.descriptors_open, figures.descriptors_max) == (1376, 9223372036854775807)
    assert figures.links == (
        LinkFigures("eth0", 1000, 2000, 1_250_000_000),
        LinkFigures("veth9", 30, 40, None),
    )


def test_what_cannot_be_read_is_unknown_and_not_nothing(tmp_path):
    figures = kernel_of(tmp_path).read()
    known = {name: getattr(figures, name) for name in figures.__struct_fields__ if name not in ("at_ns", "links")}
    assert set(known.values()) == {None}
    assert figures.ports is None
    assert figures.links == ()


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("proc")])
@pytest.mark.parametrize(
    "text", ["", "\n", "TCP: inuse\nTcp: OutSegs\n", "x y\n1\n", "TCP: inuse many tw few\n", "\n\n eth0: 1\n"]
)
def test_a_file_in_another_shape_raises_nothing(machine, name, text):
    (machine / name).write_text(text)
    kernel_of(machine).read()


def test_speed_is_asked_again_after_a_while_only(machine):
    now_ns = 0
    kernel = kernel_of(machine, clock_ns=lambda: now_ns)
    kernel.read()
    (machine / "sys/class/net/eth0/speed").write_text("1000\n")
    now_ns = 9_000_000_000
    assert kernel.read().links[0].speed_bytes_per_s == 1_250_000_000
    now_ns = 11_000_000_000
    assert kernel.read().links[0].speed_bytes_per_s == 125_000_000


def test_this_machine_says_what_linux_says():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        figures = Kernel().read()
        assert figures.sockets_in_use >= 1
    assert figures.at_ns <= time.monotonic_ns()
    assert figures.ports > 0
    assert figures.sent_segments_total > 0
    assert figures.listen_overflows_total >= 0
    assert figures.descriptors_open > 0
    assert all(link.speed_bytes_per_s is None or link.speed_bytes_per_s > 0 for link in figures.links)


def test_longest_backlog(machine):
    assert kernel_of(machine).backlog_max() is None
    path = machine / "proc/sys/net/core/somaxconn"
    path.parent.mkdir(parents=True)
    path.write_text("4096\n")
    assert kernel_of(machine).backlog_max() == 4096


def test_descriptors_of_a_process_where_the_kernel_counts_them():
    kernel = Kernel()
    before = kernel.descriptors_of(os.getpid())
    if before is None:
        assert Path("/proc/self/fd").stat().st_size == 0
        return
    with Path(os.devnull).open(), Path(os.devnull).open():
        assert kernel.descriptors_of(os.getpid()) == before + 2
    assert kernel.descriptors_of(2**30) is None
