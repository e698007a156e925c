"""Small C programs over ``memory/cells.h``, compiled as the gateway's modules are, and what they print."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load.programs import CompileError

ROOT = Path(__file__).parents[2]
RACE = ROOT / "tests" / "memory" / "cells_race.c"
DECISION = Path(__file__).with_name("decision.c")


def build(source: Path, into: Path, *flags: str, headers: Path = ROOT / "src") -> Path:
    """The executable of a C file, in the directory ``into``; our headers are looked for in ``headers`` first."""
    target = into / source.stem
    compiler = os.environ.get("CC") or shutil.which("gcc")
    if compiler is None:
        raise CompileError(f"{source.name} is C and needs gcc (Debian: apt install gcc libc6-dev)")
    machine = ["-mcx16"] if platform.machine() == "x86_64" else []
    argv = [compiler, "-O3", "-std=gnu11", "-Wall", "-Wextra", "-Werror", *machine, f"-I{headers}", f"-I{ROOT / 'src'}"]
    argv += ["-pthread", *flags, str(source), "-o", str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"{' '.join(argv)}\n{done.stderr}")
    return target


def ask(program: Path, words: Sequence[object]) -> dict[str, float]:
    """Runs it and reads "name number name number …"."""
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True)
    told = done.stdout.split()
    return dict(zip(told[::2], map(float, told[1::2]), strict=True))
