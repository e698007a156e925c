import contextlib
import os
import socket

import pytest
from tests.doctor.patients import MACHINE, TEXT, configured, machine, patient
from tests.process.gateway import eventually
from tests.redis.servers import serving

from tidegate.doctor.examination import CHECKS, Patient, examine, judge
from tidegate.doctor.finding import Finding, Unseen


def status(pid=5):
    return {
        "pid": pid,
        "uptime_s": 10.0,
        "snapshot": {"etag": "e", "source": "/a.toml"},
        "saturation": 0.0,
        "workers": [{"index": 0, "pid": os.getpid(), "state": "ready"}],
        "upstreams": [],
    }


def test_every_check_says_only_what_it_is_called_and_mends_what_it_finds():
    """A gateway that is wrong in every way; each check is named by what it says."""
    bad = machine(
        kernel={"first_port": 1, "last_port": 2, "listen_overflows_total": 9, "descriptors_open": 999_999},
        somaxconn=1, tcp_tw_reuse=0, conntrack_count=99, conntrack_max=100, clocksource="hpet", cores_quota=0.2,
        memory_share=1.0,
    )  # fmt: skip
    report = judge(patient(machine=bad))
    assert report.is_serious and len(report.findings) > 8
    for one in report.findings:
        assert one.check in CHECKS and one.subject and one.seen and one.why and one.mend


def test_one_who_is_well_has_no_findings_but_what_is_told_of_the_file():
    assert [one.check for one in judge(patient()).findings] == ["configuration"]


def test_a_check_that_makes_no_sense_of_what_it_read_keeps_no_other_from_it(monkeypatch):
    def broken(_):
        raise ValueError("no")
        yield

    monkeypatch.setitem(CHECKS, "local-ports", broken)
    report = judge(patient(machine=machine(tcp_tw_reuse=0)))
    assert Unseen("local-ports", "what it read makes no sense (ValueError: no)") in report.unseen
    assert "tw-reuse" in [one.check for one in report.findings]


def test_it_looks_twice_with_the_time_between_and_once_without():
    looked, slept = [], []

    def look():
        looked.append(1)
        return MACHINE

    report = examine(Patient(gateway=None), seconds=3.0, machine=look, sleep=slept.append)
    assert len(looked) == 2 and len(slept) == 1 and 0 <= slept[0] <= 3.0
    assert "wire" not in [one.check for one in report.unseen]
    report = examine(Patient(gateway=None), seconds=0.0, machine=look, sleep=slept.append)
    assert len(looked) == 3 and len(slept) == 1
    assert "wire" in [one.check for one in report.unseen]


@pytest.mark.parametrize("error", [OSError("away"), RuntimeError("refused"), KeyError("workers")])
def test_a_gateway_that_does_not_answer_is_said(error):
    def ask():
        raise error

    report = examine(Patient(status=ask), seconds=0.0)
    assert "running-gateway" in [one.check for one in report.unseen]


def test_the_workers_are_those_that_run_or_those_of_the_file():
    asked = []
    gateway = configured(
        TEXT.replace("workers = 2", "workers = 200").replace('[redis.main]\nurl = "redis://10.0.0.9:6379/0"', "")
    )
    report = examine(Patient(gateway=gateway), seconds=0.0)
    assert any("200 workers" in one.seen for one in report.findings)
    report = examine(Patient(gateway=gateway, status=lambda: asked.append(1) or status()), seconds=0.0)
    assert asked and not any("200 workers" in one.seen for one in report.findings)


def test_keys_of_caches_are_looked_at_before_all_others_unless_somebody_says_which(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "tidegate.doctor.examination.read_servers", lambda links, prefixes: asked.append(prefixes) or ()
    )
    text = TEXT + '[cache.sessions]\nredis = "main"\n[cache.local]\n[cache.named]\nredis = "main"\nprefix = "n:"\n'
    examine(Patient(gateway=configured(text)), seconds=0.0)
    examine(Patient(gateway=configured(text), prefixes=("mine:",)), seconds=0.0)
    assert asked == [{"main": ("cache:sessions:", "n:", "")}, {"main": ("mine:",)}]


def test_a_real_machine_with_a_real_server_and_real_connections():
    """What is wrong with this machine is its own business: that every check comes to an end here is ours."""
    with serving("--maxclients", "20", "--timeout", "60") as server, socket.create_server(("127.0.0.1", 0)) as upstream:
        text = TEXT.replace(
            '10.0.0.9:6379/0"', f'{server.address}/0"\ntimeout = "60s"\nconnect_timeout = "60s"'
        ).replace("10.0.0.5:9001", f"127.0.0.1:{upstream.getsockname()[1]}")
        with socket.create_connection(upstream.getsockname()):
            report = examine(Patient(gateway=configured(text)), seconds=0.05, is_live=True)
        assert {*CHECKS, "directions"} == set(report.looked)
        assert not [one for one in report.unseen if "no sense" in one.why]
        told = [one for one in report.findings if one.subject == "redis.main"]
        assert any("timeout 60" in one.seen for one in told)
        directions = {one.name: one for one in report.directions}
        assert directions["upstream orders"].connections >= 1 and directions["upstream orders"].is_local
        assert all(isinstance(one, Finding) for one in report.findings)


def test_two_unrelated_directions_that_are_silent_at_once_have_this_machine_in_common():
    """Full accept queues drop first packets as a broken cable does."""
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)) for _ in range(2)]
        for one in silent:
            for _ in range(4):
                dialling = held.enter_context(socket.socket())
                dialling.setblocking(False)
                dialling.connect_ex(one.getsockname())
        upstream, other = (f"127.0.0.1:{one.getsockname()[1]}" for one in silent)
        text = TEXT.replace('[redis.main]\nurl = "redis://10.0.0.9:6379/0"', "").replace("10.0.0.5:9001", upstream)
        text += f'[upstreams.other]\nendpoints = ["{other}"]\n'
        text += '[[routes]]\nname = "other"\npath = "/other"\nupstream = "other"\n'
        gateway = configured(text)

        def blamed():
            report = examine(Patient(gateway=gateway), seconds=0.0, is_live=True)
            return [one.subject for one in report.findings if one.check == "directions"] == ["this machine"]

        eventually(blamed, "both are silent for long enough")


def test_a_kernel_that_lists_no_connections_is_said(monkeypatch):
    def refuse():
        raise PermissionError(1, "no")

    monkeypatch.setattr("tidegate.doctor.examination.read_connections", refuse)
    report = examine(Patient(), seconds=0.0, is_live=True)
    assert Unseen("directions", "the kernel does not list connections: no") in report.unseen
    assert report.directions == ()
