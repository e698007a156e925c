"""Real workers, looked into while they serve."""

import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
from tests.cli.command import tidegate
from tests.process.gateway import eventually
from tests.process.stalling import begin, get, place_of, stalling
from typer.testing import CliRunner

from tidegate.cli import profile as module
from tidegate.cli.app import app
from tidegate.cli.profile import _chosen
from tidegate.process.failure import StartError
from tidegate.profile.sampler import RATE

FAR_S = 180


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "run"


@pytest.fixture(scope="module")
def gateway(runtime):
    with stalling(workers=1, has_control=True, runtime_dir=runtime, stall_kill=None) as running:
        yield running


@pytest.fixture
def profile(gateway, runtime):
    def run(*arguments, **options):
        environment = {"TIDEGATE_RUNTIME_DIR": str(runtime)}
        return tidegate("profile", *arguments, environment=environment, timeout=FAR_S, **options)

    return run


def worker(index, saturation=0.0, pid=7, drains_for_s=None):
    return {"index": index, "pid": pid, "saturation": saturation, "drains_for_s": drains_for_s}


def test_the_fullest_worker_is_looked_into_unless_somebody_says_otherwise():
    workers = [worker(0, 0.1, 10), worker(1, 0.9, 11), worker(0, 5.0, 9, drains_for_s=3.0)]
    assert _chosen(workers, None, every=False) == {1: 11}
    assert _chosen(workers, [0, 0], every=False) == {0: 10}
    assert _chosen(workers, None, every=True) == {0: 10, 1: 11}
    with pytest.raises(StartError, match="no worker 5; there are 0, 1"):
        _chosen(workers, [5], every=False)
    with pytest.raises(StartError, match="no worker runs"):
        _chosen([worker(0, pid=0)], None, every=True)


@pytest.mark.parametrize(
    "arguments", [["--heap", "--memory"], ["--for", "x"], ["--for", "0s"], ["--for", "1h"], ["--rate", "0"]]
)
def test_what_makes_no_sense_is_wrong_usage(arguments):
    assert CliRunner().invoke(app, ["profile", *arguments]).exit_code == 2


def test_without_a_gateway_it_says_so(tmp_path):
    done = tidegate("profile", environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path)})
    assert done.returncode == 1 and "no gateway runs here" in done.stderr


def test_the_rate_is_the_one_whose_cost_was_measured():
    assert inspect.signature(module.profile).parameters["rate"].default == RATE


@pytest.mark.e2e
def test_a_name_that_says_no_format_is_refused_before_anything_is_measured(profile, tmp_path):
    done = profile("--for", "10m", "-o", tmp_path / "p.png")
    assert done.returncode == 1 and "ends with .html" in done.stderr
    assert profile("--heap", "-o", tmp_path / "p.svg").returncode == 2
    assert "no worker 9" in profile("--worker", "9").stderr


@pytest.mark.e2e
def test_held_loops_are_shown_with_the_lines_that_held_them(profile, gateway, tmp_path):
    path = tmp_path / "p.folded"

    def held():
        get(gateway, "/sleep/0.4")
        done = profile("--blocked", "-o", path)
        return done.returncode == 0 and place_of("sleep") in path.read_text()

    eventually(held, "the stall watch has seen it")
    (line,) = [one for one in path.read_text().splitlines() if place_of("sleep") in one]
    calls, _, seconds = line.rpartition(" ")
    assert calls.startswith("worker 0;") and calls.endswith(f"_sleep ({place_of('sleep')})")
    assert float(seconds) >= 0.3
    done = profile("--blocked", "--for", "50ms", "-o", path)
    assert done.returncode == 1 and "no loop was held" in done.stderr, "nothing of it was in that time"


@pytest.mark.e2e
def test_live_objects_and_what_became_more(profile, gateway):
    (now,) = json.loads(profile("--heap", "--json").stdout)
    assert now["worker"] == 0 and now["pid"] in gateway.workers()
    assert all(row["count"] > 0 and row["more"] == 0 for row in now["types"])
    kind = "tidegate.edge.connection.Connection"
    clients = [gateway.connect() for _ in range(16)]
    try:
        get(gateway, "/other/0")  # who came before is there by then
        (more,) = json.loads(profile("--heap", "--json").stdout)
        assert sum(row["count"] for row in more["types"] if row["kind"] == kind) >= len(clients)
    finally:
        for one in clients:
            one.close()
    done = profile("--heap", "--for", "100ms")
    assert done.returncode == 0, done.stderr
    titles, first, *_ = done.stdout.splitlines()
    assert titles.split()[:2] == ["worker", "0"] and titles.split()[-3:] == ["more", "KiB", "more"]
    assert first.split()[3][0] in "+-", "what grew or shrank most is first"


@pytest.mark.e2e
def test_allocations_of_a_while_and_the_worker_is_as_before(profile, gateway, tmp_path):
    path = tmp_path / "p.json"
    done = profile("--memory", "--for", "1s", "-o", path)
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    assert document["profiles"][0]["unit"] == "bytes" and document["profiles"][0]["endValue"] > 0
    assert "of what was allocated are still there" in done.stderr
    assert profile("--memory", "--for", "100ms", "-o", path).returncode == 0, "it is not on any more"
    assert b"200" in get(gateway, "/other/0")


@pytest.mark.e2e
def test_ctrl_c_while_it_measures_leaves_what_there_is(gateway, runtime, tmp_path):
    path = tmp_path / "p.html"
    argv = [sys.executable, "-m", "tidegate", "profile", "--memory", "--for", "10m", "-o", str(path)]
    environment = {**os.environ, "TIDEGATE_RUNTIME_DIR": str(runtime)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr.readline() == b"tidegate: measures for 10m; Ctrl-C ends it early\n"
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=FAR_S)
    assert process.returncode == 0, said
    assert str(path) in out.decode() and b"ended early, by Ctrl-C" in said
    assert "ended early" in path.read_text()


@pytest.mark.e2e
@pytest.mark.timeout(2 * FAR_S)
def test_a_worker_that_computes_is_seen_in_every_format(profile, gateway, tmp_path):
    """Last: its loop is held for good, and what needs no answer of it works all the same."""
    with contextlib.closing(begin(gateway, "/busy/0")):
        names = [tmp_path / f"p{end}" for end in (".svg", ".json", ".html", ".folded")]
        outputs = [word for name in names for word in ("-o", name)]

        def seen():
            done = profile("--for", "1s", "--rate", "20", *outputs)
            if "could not look" in done.stderr or "needs py-spy" in done.stderr:
                pytest.skip(done.stderr)
            return done.returncode == 0 and "on_request" in names[3].read_text() and done

        done = eventually(seen, "the filter is seen", FAR_S)
        assert done.stdout.split() == [str(name) for name in names]
        root = ET.fromstring(names[0].read_text())
        assert any("on_request" in text for text in root.itertext())
        frames = {one["name"] for one in json.loads(names[1].read_text())["shared"]["frames"]}
        assert any(one.startswith("worker 0 (pid ") for one in frames)
        assert "20 samples a second" in names[2].read_text()
        for pid in gateway.workers():
            os.kill(pid, signal.SIGKILL)  # it would compute for ever
