"""Another program takes over from a running one, or fails to: real supervisors, workers and control."""

import os
import signal

import psutil
import pytest
from tests.process.gateway import eventually
from tests.process.upgradable import Load, copy_of_the_program, python_path_of, source, upgradable

pytestmark = pytest.mark.e2e


def test_next_generation_takes_over_under_load_and_nobody_notices(tmp_path):
    with upgradable(tmp_path) as it, Load(it.gateway) as load:
        before = set(it.gateway.workers())
        held = it.gateway.connect()
        pid = int(held.makefile("rb").readline().split()[1])
        assert it.upgrade()["phase"] == "done"
        status = it.status()
        assert status["generation"] == 2
        assert status["pid"] == it.gateway.pid == it.gateway.process.pid
        (old,) = [one for one in status["workers"] if one["pid"] == pid]
        assert old["generation"] == 1
        assert old["state"] == "draining"
        assert 0 < old["drains_for_s"] <= 10
        assert old["memory_bytes"] > 1 << 20
        after = {one["pid"] for one in status["workers"] if one["generation"] == 2}
        assert len(after) == 2
        assert not after & before
        # One that waits in the old generation is served to its end.
        held.sendall(b"still here\n")
        assert held.recv(100) == b"still here\n"
        held.close()
        served = len(load.served)
        eventually(lambda: len(load.served) > served + 50, "the new generation serves")
        eventually(lambda: not before & set(it.gateway.workers()), "the old generation is gone")
        assert load.failures == []
        assert set(load.served[-10:]) <= after
        it.gateway.hear("kind=upgraded")


def test_three_upgrades_in_a_row_and_then_an_ordinary_life(tmp_path):
    with upgradable(tmp_path) as it:
        with Load(it.gateway) as load:
            for generation in (2, 3, 4):
                assert it.upgrade()["phase"] == "done"
                it.until_only(generation)
                assert it.status()["generation"] == generation
        assert load.failures == []
        # The program that took over replaces what dies, and stops as told.
        victim = it.workers(4)[0]
        os.kill(victim, signal.SIGKILL)
        it.gateway.hear(r"worker \d is gone \(killed by SIGKILL\); the next one starts now")
        (control,) = it.gateway.control()
        os.kill(control, signal.SIGKILL)
        it.gateway.hear(r"control is gone \(killed by SIGKILL\); the next one starts now")
        eventually(lambda: it.status() and len(it.workers(4)) == 2, "both are back")
        it.gateway.signal(signal.SIGTERM)
        assert it.gateway.wait() == 0


def test_next_upgrade_waits_for_the_end_of_the_old_generation(tmp_path):
    with upgradable(tmp_path) as it:
        with it.gateway.connect() as held:
            pid = int(held.makefile("rb").readline().split()[1])
            assert it.upgrade()["phase"] == "done"
            refused = it.upgrade()
            assert refused["phase"] == "failed"
            assert "generation 1 still finish" in refused["reason"]
            assert str(pid) in refused["reason"]
        it.until_only(2)
        assert it.upgrade()["phase"] == "done"


@pytest.mark.parametrize(
    ("module", "text", "says"),
    [
        ("process/supervisor", "raise RuntimeError('no tide today')", "no tide today"),
        ("process/worker", "import a_module_that_nobody_has", "No module named 'a_module_that_nobody_has'"),
        ("__init__", "this is no Python", "SyntaxError"),
    ],
)
def test_program_that_cannot_be_imported_changes_nothing(tmp_path, module, text, says):
    place = copy_of_the_program(tmp_path, {module: text})
    with upgradable(tmp_path) as it, Load(it.gateway) as load:
        before = set(it.gateway.workers()) | set(it.gateway.control())
        ended = it.upgrade(environment_path=place, python_path=python_path_of(place))
        assert ended["phase"] == "failed"
        assert says in ended["reason"]
        assert set(it.gateway.workers()) | set(it.gateway.control()) == before
        it.gateway.hear("kind=upgrade_failed")
        assert it.upgrade()["phase"] == "done"
    assert load.failures == []


def test_program_with_another_layout_of_memory_is_refused(tmp_path):
    changed = source("memory/layout") + "\nLAYOUT_VERSION += 1\n"
    place = copy_of_the_program(tmp_path, {"memory/layout": changed})
    with upgradable(tmp_path) as it:
        ended = it.upgrade(environment_path=place, python_path=python_path_of(place))
        assert ended["phase"] == "failed"
        assert "layout version" in ended["reason"]
        assert it.status()["generation"] == 1


def test_interpreter_that_is_not_there_is_refused(tmp_path):
    with upgradable(tmp_path) as it:
        ended = it.upgrade(python=str(tmp_path / "python"))
        assert ended["phase"] == "failed"
        assert "No such file" in ended["reason"]


@pytest.mark.parametrize("trouble", ["hang", "crash", "refuse", "refuse-late"])
def test_workers_that_do_not_become_ready_are_stopped_and_the_old_go_on(tmp_path, trouble):
    # The new generation's workers read their trouble from the environment of the program that is to take over.
    place = copy_of_the_program(
        tmp_path,
        {"process/service": source("process/service") + f"\nimport os\nos.environ['ECHO_TROUBLE'] = {trouble!r}\n"},
    )
    timeout_s = 8.0 if trouble == "hang" else 60.0
    with upgradable(tmp_path, upgrade_timeout=timeout_s) as it, Load(it.gateway) as load:
        before = set(it.gateway.workers())
        ended = it.upgrade(environment_path=place, python_path=python_path_of(place))
        assert ended["phase"] == "failed"
        assert {
            "hang": "not ready within 8 s",
            "crash": "exited with code 9",
            "refuse": "the echo has no voice today",
            "refuse-late": "the echo lost its voice",
        }[trouble] in ended["reason"]
        eventually(lambda: set(it.gateway.workers()) == before, "only the old ones are left")
        served = len(load.served)
        eventually(lambda: len(load.served) > served + 20, "they go on")
        assert it.status()["generation"] == 1
    assert load.failures == []


def test_supervisor_that_cannot_be_rehearsed_does_not_take_over(tmp_path):
    text = source("process/handover")
    place = copy_of_the_program(tmp_path, {"process/handover": text.replace("FORMAT = 1", "FORMAT = 2")})
    with upgradable(tmp_path) as it, Load(it.gateway) as load:
        ended = it.upgrade(environment_path=place, python_path=python_path_of(place))
        assert ended["phase"] == "failed"
        assert "hands over in format 1, this program reads 2" in ended["reason"]
        assert it.status()["generation"] == 1
    assert load.failures == []


def test_supervisor_that_fails_after_its_rehearsal_gives_back(tmp_path):
    text = source("process/holdings")
    changed = text.replace(
        "        return cls(\n            Region.attach",
        "        import sys\n        if '--adopt' in sys.orig_argv: raise OSError('the hull leaks')\n"
        "        return cls(\n            Region.attach",
    )
    assert changed != text
    place = copy_of_the_program(tmp_path, {"process/holdings": changed})
    with upgradable(tmp_path) as it, Load(it.gateway) as load:
        assert it.upgrade(environment_path=place, python_path=python_path_of(place))["phase"] == "done"
        it.gateway.hear("gives back to the old one: the hull leaks")
        it.gateway.hear("kind=upgrade_incomplete")
        assert it.status()["generation"] == 2
        served = len(load.served)
        eventually(lambda: len(load.served) > served + 20, "the new workers serve under the old supervisor")
        eventually(lambda: len(it.gateway.workers()) == 2, "the old workers are gone")
    assert load.failures == []


@pytest.mark.parametrize("victim", ["old worker", "new worker", "control"])
def test_death_during_an_upgrade(tmp_path, victim):
    place = copy_of_the_program(
        tmp_path, {"process/service": source("process/service") + "\nimport time\ntime.sleep(2)\n"}
    )
    with upgradable(tmp_path) as it:
        before, control = it.gateway.workers(), it.gateway.control()
        attempt = it.ask(environment_path=place, python_path=python_path_of(place))
        it.phase(attempt, "starting")
        new = eventually(lambda: [pid for pid in it.gateway.workers() if pid not in before], "new ones start")
        os.kill({"old worker": before, "new worker": new, "control": control}[victim][0], signal.SIGKILL)
        ended = it.end_of(attempt)
        if victim == "new worker":
            assert ended["phase"] == "failed"
            assert "killed by SIGKILL" in ended["reason"]
        else:
            assert ended["phase"] == "done", ended
        eventually(lambda: len(it.gateway.workers()) == 2, "one generation is left")
        with it.gateway.connect() as one:
            assert one.recv(100)


def test_gateway_that_is_told_to_stop_during_an_upgrade_stops(tmp_path):
    place = copy_of_the_program(
        tmp_path, {"process/service": source("process/service") + "\nimport time\ntime.sleep(2)\n"}
    )
    with upgradable(tmp_path) as it:
        before = it.gateway.workers()
        attempt = it.ask(environment_path=place, python_path=python_path_of(place))
        it.phase(attempt, "starting")
        eventually(lambda: len(it.gateway.workers()) > len(before), "new ones start")
        below = [child.pid for child in psutil.Process(it.gateway.pid).children()]
        it.gateway.signal(signal.SIGTERM)
        assert it.gateway.wait() == 0
        eventually(lambda: not any(map(psutil.pid_exists, below)), "nobody is left")


def test_old_workers_have_a_time_of_their_own_to_finish(tmp_path):
    with upgradable(tmp_path, drain_timeout=60.0, upgrade_drain_timeout=1.0) as it, it.gateway.connect() as held:
        pid = int(held.makefile("rb").readline().split()[1])
        assert it.upgrade()["phase"] == "done"
        assert held.recv(100) == b""
        eventually(lambda: pid not in it.gateway.workers(), "the old worker is gone")
