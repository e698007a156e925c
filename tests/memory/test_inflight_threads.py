"""The C of ``memory/inflight.h`` under threads: nothing is read or written without order, no limit is exceeded."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)

SOURCE = Path(__file__).with_name("inflight_threads.c")
INCLUDE = Path(__file__).parents[2] / "src"
PROBE = "int main(void) { return 0; }\n"
# Address space at random places is more random on new kernels than older ThreadSanitizers can bear.
WITHOUT_RANDOM_PLACES = ["setarch", "-R"]


def run(program):
    return subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)


def compiled(tmp_path, source, *flags):
    program = tmp_path / (source.stem + "".join(flags).replace("=", "-"))
    strict = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{INCLUDE}"]
    return program, run(["cc", *strict, *flags, str(source), "-o", str(program)])


def test_threads_exceed_no_limit_and_leave_no_row(tmp_path):
    program, made = compiled(tmp_path, SOURCE, "-O2")
    assert made.returncode == 0, made.stderr
    ended = run([str(program), "4", "100000"])
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_thread_sanitizer_finds_nothing(tmp_path):
    probe = tmp_path / "probe.c"
    probe.write_text(PROBE)
    program, made = compiled(tmp_path, probe, "-fsanitize=thread")
    launcher = WITHOUT_RANDOM_PLACES if shutil.which("setarch") else []
    if made.returncode or run([*launcher, str(program)]).returncode:
        pytest.skip("this machine's compiler has no ThreadSanitizer that runs here")
    program, made = compiled(tmp_path, SOURCE, "-O1", "-fsanitize=thread")
    assert made.returncode == 0, made.stderr
    ended = run([*launcher, str(program), "4", "20000"])
    assert ended.returncode == 0, ended.stdout + ended.stderr
