"""``tidegate bench``: what it sends, prints and writes, and how it ends."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from tests.cli.command import tidegate
from tests.plane.harness import REFUSING
from tests.plane.serving import OK, Serving, answering

from tidegate.cli import main

REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def bench(capsys):
    """The verb in this process: exit code, standard output and error."""

    def run(*arguments):
        code = main(["bench", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def server():
    with Serving(answering()) as serving:
        yield serving


def test_a_table_of_an_open_loop(server):
    done = tidegate("bench", f"http://{server.address}/", "-R", "100", "-d", "300ms", "-c", "4", "-p", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "even arrivals, 100/s; 0.3 s; 2 processes, 4 connections" in done.stdout
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "100.00%" in rows["200"]
    assert "requests: 30 due, " in done.stdout
    assert " 30 answered, 0 failed, 0 unfinished" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_report_and_hgrm(server, tmp_path):
    files = ("--report", tmp_path / "r.html", "--hgrm", tmp_path / "r.hgrm")
    done = tidegate("bench", f"http://{server.address}/", "--ramp", "50:150", "-d", "300ms", "--json", *files)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["requests"]["due"] == 30
    assert document["rate"]["asked"] == pytest.approx(100, abs=1)
    assert document["by_status"]["200"]["count"] == 30
    assert set(document["latency_s"]) == {"p50", "p90", "p99", "p999", "max", "mean"}
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert "Total count    =           30" in (tmp_path / "r.hgrm").read_text()


def test_parts_of_a_load_are_merged(server, tmp_path, bench):
    for name in ("a", "b"):
        _, out, _ = bench(f"http://{server.address}/", "-R", "100", "-d", "100ms", "--json")
        (tmp_path / name).write_text(out)
    _, out, _ = bench("--merge", tmp_path / "a", tmp_path / "b", "--json")
    assert json.loads(out)["by_status"]["200"]["count"] == 20
    code, _, said = bench("--merge", tmp_path / "none")
    assert code == 1
    assert "none" in said


def test_requests_come_from_flags_a_file_or_a_script(tmp_path, bench):
    seen = []

    def handle(peer, line, fields, body):
        seen.append((line, dict(fields).get("X-Plan"), body))
        peer.send(REFUSED if "/refused" in line else OK)

    (tmp_path / "file").write_text("/a\nDELETE /refused\n")
    (tmp_path / "script.py").write_text("def requests(random):\n    yield '/from-script'\n")
    with Serving(handle) as server:
        url = f"http://{server.address}/flags/{{key}}"
        load = ("-R", "100", "-d", "40ms", "-c", "1", "-H", "X-Plan: gold")
        bench(url, *load, "-X", "PUT", "--body", "tide", "--keys", "sequence:2")
        assert {(line, body) for line, _, body in seen} == {
            ("PUT /flags/0 HTTP/1.1", b"tide"),
            ("PUT /flags/1 HTTP/1.1", b"tide"),
        }
        seen.clear()
        _, out, _ = bench(url, *load, "--requests", tmp_path / "file", "--json")
        assert {line for line, *_ in seen} == {"GET /a HTTP/1.1", "DELETE /refused HTTP/1.1"}
        assert {status: one["count"] for status, one in json.loads(out)["by_status"].items()} == {
            "200": 2,
            "429": 2,
        }
        seen.clear()
        bench(url, *load, "--script", tmp_path / "script.py")
        assert {(line, plan) for line, plan, _ in seen} == {("GET /from-script HTTP/1.1", "gold")}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "one URL to load, such as"),
        (("http://a/", "http://b/"), 2, "got 2"),
        (("--merge",), 2, "--merge wants the files"),
        (("http://a/", "--poisson"), 2, "Poisson arrivals have a rate"),
        (("ftp://a",), 2, "a target is written"),
        (("http://a/", "-R", "1", "--ramp", "1:2"), 2, "only one of them"),
        (("http://a/", "-d", "ten"), 2, "a duration is"),
        (("http://a/", "-c", "1", "-p", "2"), 2, "want a connection each"),
        (("http://a/", "-H", "no colon"), 2, "a header is written"),
        (("http://a/", "--keys", "pareto:1"), 2, "keys are written"),
        (("http://a/", "--body", "@nowhere"), 1, "nowhere cannot be read"),
        ((f"http://{REFUSING}/",), 1, "cannot be reached: Connection refused"),
        (("http://127.0.0.1:1/", "--unix-socket", "nowhere"), 1, "cannot be reached: No such file"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_code(arguments, code, said, bench):
    found, out, error = bench(*arguments)
    assert found == code
    assert said in error
    assert error.count("\n") == 1
    assert out == ""


def test_nothing_answered_is_a_failure_with_the_kind(bench):
    def handle(peer, line, fields, body):
        return True

    with Serving(handle) as server:
        code, out, _ = bench(f"http://{server.address}/", "-R", "100", "-d", "50ms", "--json")
    assert code == 1
    assert json.loads(out)["errors"] == {"connection_terminated": 5}


def test_ctrl_c_tells_what_there_is_and_leaves_nothing_running(server):
    master, slave = pty.openpty()  # a terminal for the progress: its first line says that requests are on their way
    process = subprocess.Popen(
        [sys.executable, "-m", "tidegate", "bench", f"http://{server.address}/", "-R", "50", "-d", "10m", "--json"],
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    said = b""
    while b"sent" not in said:
        said += os.read(master, 4096)
    children = [int(pid) for pid in _children(process.pid)]
    assert len(children) == 1
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    os.close(master)
    document = json.loads(out)
    assert document["is_stopped"]
    assert document["by_status"]["200"]["count"] > 0
    assert process.returncode == 1
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)  # noqa: PTH110


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
        return file.read().split()
