"""Compiles the C sources of this folder once a session, into a directory that goes with it."""

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent


class CompileError(RuntimeError):
    """A generator could not be built: no compiler, or the compiler's own words."""


def build(name: str, into: Path) -> Path:
    """The executable of ``NAME.c``, compiled into the directory ``into`` when it is not there yet."""
    target = into / name
    if target.exists():
        return target
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CompileError("the load generators are C and need gcc (Debian: apt install gcc libssl-dev)")
    source = SOURCES / f"{name}.c"
    argv = [compiler, "-O2", "-std=gnu11", "-Wall", "-o", str(target), str(source)]
    argv += [flag for flag in ("-lssl", "-lcrypto") if '"client.h"' in source.read_text()]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"{' '.join(argv)}\n{done.stderr}")
    return target
