import pytest
from tests.doctor.patients import KERNEL, TEXT, configured, figures, found, machine, patient, unseen, whole

from tidegate.observe.kernel import LinkFigures

CHECKS = ("local-ports", "tw-reuse", "backlog", "accept-overflows", "connection-tracking", "wire")


@pytest.mark.parametrize("check", CHECKS)
def test_a_machine_that_is_well_has_nothing(check):
    assert found(patient(), check) == [] and unseen(patient(), check) == []


def test_pools_that_may_open_more_connections_than_there_are_ports():
    text = TEXT.replace('endpoints = ["10.0.0.5:9001"]', 'endpoints = ["10.0.0.5:9001"]\npool = { max = 30000 }')
    one = whole(patient(gateway=configured(text)), "local-ports")
    assert (one.severity, one.subject, one.incident) == ("serious", "upstreams.orders.pool.max", "ports")
    assert "60,000" in one.seen and "55,296" in one.seen
    assert "pool.max = 13824" in one.mend


def test_unix_sockets_take_no_ports():
    text = TEXT.replace('endpoints = ["10.0.0.5:9001"]', 'endpoints = ["unix:/a"]\npool = { max = 30000 }')
    assert found(patient(gateway=configured(text)), "local-ports") == []


def test_a_narrow_range_of_ports():
    narrow = machine(kernel={"first_port": 50_000, "last_port": 51_000})
    assert found(patient(machine=narrow), "local-ports")[-1] == (
        "warning", "net.ipv4.ip_local_port_range", "50000 to 51000: 1,001 ports",
    )  # fmt: skip


@pytest.mark.parametrize(("waiting", "severity"), [(5_000, None), (10_000, "warning"), (40_000, "serious")])
def test_ports_that_are_held_by_closed_connections(waiting, severity):
    told = found(patient(machine=machine(kernel={"time_wait": waiting})), "local-ports")
    assert [one[:2] for one in told] == ([] if severity is None else [(severity, "TIME_WAIT")])


@pytest.mark.parametrize(
    ("reuse", "address", "severity"),
    [(0, "10.0.0.5:9001", "warning"), (2, "10.0.0.5:9001", "note"), (2, "127.0.0.1:9001", None), (1, "b:1", None)],
)
def test_ports_in_time_wait_may_be_used_again(reuse, address, severity):
    gateway = configured(TEXT.replace("10.0.0.5:9001", address))
    told = found(patient(gateway=gateway, machine=machine(tcp_tw_reuse=reuse)), "tw-reuse")
    assert [one[0] for one in told] == ([] if severity is None else [severity])


def test_a_backlog_that_the_kernel_cuts_or_that_is_small():
    assert found(patient(machine=machine(somaxconn=128)), "backlog") == [
        ("warning", "listeners[0].backlog", "4096 is asked for, net.core.somaxconn cuts it to 128")
    ]
    small = configured(TEXT.replace('bind = "0.0.0.0:8080"', 'bind = "0.0.0.0:8080"\nbacklog = 100'))
    one = whole(patient(gateway=small), "backlog")
    assert (one.severity, one.incident) == ("warning", "listen-overflow")
    half_open = machine(tcp_syncookies=0, tcp_max_syn_backlog=128)
    assert found(patient(machine=half_open), "backlog")[0][1] == "net.ipv4.tcp_syncookies"


def test_queues_that_overflow_now_are_worse_than_those_that_did_once():
    now = machine(kernel={"listen_overflows_total": 12})
    assert found(patient(machine=now), "accept-overflows")[0][0] == "serious"
    assert "12 of them in the last 2 s" in found(patient(machine=now), "accept-overflows")[0][2]
    assert found(patient(machine=now, earlier_machine=now), "accept-overflows")[0][0] == "warning"
    assert found(patient(machine=now, earlier_machine=None), "accept-overflows")[0][0] == "warning"


def test_a_table_of_connections_that_is_full_or_will_be():
    full = machine(conntrack_count=60_000, conntrack_max=65_536)
    assert found(patient(machine=full), "connection-tracking")[0][0] == "serious"
    small = whole(patient(machine=machine(conntrack_max=16_384)), "connection-tracking")
    assert small.severity == "warning" and "nf_conntrack_max=131072" in small.mend
    for facts in (machine(conntrack_count=0, conntrack_max=16_384), machine(conntrack_count=None, conntrack_max=None)):
        assert found(patient(machine=facts), "connection-tracking") == []


def test_segments_that_are_sent_again():
    lossy = machine(kernel={"sent_segments_total": 20_000, "retransmitted_segments_total": 400})
    assert found(patient(machine=lossy), "wire") == [
        ("warning", "retransmits", "400 of 10,000 segments were sent again (4.0%)")
    ]
    few = machine(kernel={"sent_segments_total": 10_100, "retransmitted_segments_total": 50})
    assert found(patient(machine=few), "wire") == []


def test_a_link_that_is_full():
    links = (LinkFigures("eth0", 0, 240_000_000, 125_000_000), LinkFigures("eth1", 1, 1, None))
    told = found(patient(machine=machine(kernel={"links": links})), "wire")
    assert told == [("serious", "eth0", "96% of its speed in use")]


def test_what_is_hidden_is_said():
    hidden = machine(kernel={"first_port": None, "listen_overflows_total": None}, somaxconn=None, tcp_tw_reuse=None)
    facts = patient(machine=hidden, earlier_machine=None)
    assert all(unseen(facts, check) for check in CHECKS if check != "connection-tracking")
    assert figures() == KERNEL
