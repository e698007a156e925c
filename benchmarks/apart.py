"""A benchmark once more in namespaces of its own, where it may mount and shape what nobody else sees."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence

__all__ = ["run_apart"]


def run_apart(name: str, argv: Sequence[str], *, spaces: Sequence[str], prepare: str, marker: str) -> int | None:
    """Runs ``python -m benchmarks NAME ARGV`` apart and returns its exit code; None where that is not possible.

    Args:
        name: Of the benchmark.
        argv: Its arguments.
        spaces: Options of ``unshare``: which namespaces.
        prepare: What the shell does in them first; ``$0`` is a directory for it.
        marker: The environment variable that tells the program that it is apart, and names the directory.
    """
    with tempfile.TemporaryDirectory(prefix=f"tidegate-{name}-") as place:
        user = ["--map-root-user"] if os.geteuid() else []
        before = ["unshare", *spaces, *user, "sh", "-c", f'{prepare} && exec "$@"', place]
        if shutil.which("unshare") is None:
            return None
        if subprocess.run([*before, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            return None
        program = [sys.executable, "-m", "benchmarks", name, *argv]
        return subprocess.run([*before, *program], check=False, env={**os.environ, marker: place}).returncode
