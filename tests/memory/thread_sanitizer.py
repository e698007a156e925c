"""Whether ThreadSanitizer is there, and what to start its programs with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER = os.environ.get("CC", "gcc")


def launcher(folder: Path) -> tuple[str, ...]:
    """The words before a program; skips the test where ThreadSanitizer is not installed or cannot run."""
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    made = [COMPILER, "-fsanitize=thread", str(probe), "-o", str(folder / "probe")]
    if subprocess.run(made, capture_output=True, check=False, timeout=60).returncode:
        pytest.skip(f"{COMPILER} has no ThreadSanitizer runtime (Debian: libtsan, with gcc)")
    # Its runtime refuses to start where the kernel randomizes more address bits than it knows.
    fixed = ("setarch", os.uname().machine, "-R") if shutil.which("setarch") else ()
    said = ""
    for prefix in ((), fixed):
        run = subprocess.run([*prefix, str(folder / "probe")], capture_output=True, text=True, check=False, timeout=60)
        if run.returncode == 0:
            return prefix
        said = run.stderr.strip()[:200]
    return pytest.skip(f"ThreadSanitizer's runtime does not start here: {said}")
