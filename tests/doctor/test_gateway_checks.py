from dataclasses import replace

import pytest
from tests.doctor.patients import RUNNING, TEXT, configured, found, patient, running, unseen

from tidegate.config.snapshot import Snapshot
from tidegate.doctor.running import RunningWorker


def workers(**first):
    return running(workers=(replace(RUNNING.workers[0], **first), RUNNING.workers[1]))


@pytest.mark.parametrize("check", ["saturation", "workers"])
def test_a_gateway_that_is_well_has_nothing(check):
    assert found(patient(), check) == [] and unseen(patient(), check) == []


def test_one_that_is_full_or_suspects_itself():
    told = found(patient(running=running(saturation=1.25, suspects_itself=True)), "saturation")
    assert [one[0] for one in told] == ["serious", "serious"]
    assert told[0][2].startswith("saturation 1.25") and told[0][2].endswith("by loop lag")
    assert unseen(patient(running=None), "saturation")


def test_workers_that_are_held_or_keep_dying():
    held = workers(state="stalled", stalled_in="/a/filter.py:9")
    assert found(patient(running=held), "workers") == [
        ("serious", "worker 0 (pid 78)", "it is stalled, in /a/filter.py:9")
    ]
    dying = workers(restarts=3, last_death="killed by SIGSEGV")
    assert found(patient(running=dying), "workers") == [
        ("warning", "worker 0", "it was replaced 3 times, the last one killed by SIGSEGV")
    ]
    assert found(patient(running=workers(restarts=1, last_death="a")), "workers") == []
    assert RunningWorker(index=0, pid=1, state="ready").restarts == 0


def test_a_file_that_is_not_what_runs():
    gateway = configured()
    same = running(etag=Snapshot.build(gateway).etag)
    assert found(patient(gateway=gateway, running=same), "configuration") == []
    assert found(patient(gateway=gateway, running=running(etag="other")), "configuration")[0][0] == "note"
    developing = configured(TEXT.replace("workers = 2", "workers = 2\ndevelopment = true"))
    assert found(patient(gateway=developing, running=None), "configuration") == [
        ("warning", "server.development", "true")
    ]
