"""Builds the fuzz loop against the tidegate that is imported, sanitized or not, into build/fuzz."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import tidegate

HERE = Path(__file__).parent
PACKAGES = Path(tidegate.__file__).parents[1]
WIRE = PACKAGES / "tidegate" / "wire"
SANITIZED = os.environ.get("TIDEGATE_SANITIZE") == "1"


def key_of(source: Path) -> str:
    """A new name for every source, header, interpreter and way of building: nothing stale is ever loaded."""
    digest = hashlib.sha256(f"{sys.version}{SANITIZED}{PACKAGES}".encode())
    for path in [source, *sorted([*WIRE.glob("*.pxd"), *WIRE.glob("*.h")])]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def tool(*command: str | Path) -> None:
    # Without what is preloaded for the tests: the compiler is not what is under test.
    kept = {name: value for name, value in os.environ.items() if name not in {"LD_PRELOAD", "PYTHONMALLOC"}}
    done = subprocess.run(command, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def load(name: str) -> ModuleType:
    """The compiled module ``name`` of this folder."""
    source = HERE / f"{name}.pyx"
    folder = HERE.parents[1] / "build" / "fuzz" / key_of(source)
    target = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        c_file = folder / f"{name}.c"
        tool(sys.executable, "-m", "cython", "-3", "-I", PACKAGES, source, "-o", c_file)
        checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"] if SANITIZED else []
        include = [f"-I{sysconfig.get_path('include')}", f"-I{WIRE}"]
        half = folder / f"{os.getpid()}.so"  # two test processes may build at once: the last rename wins
        compiler = os.environ.get("CC", "gcc")
        flags = ["-std=gnu11", "-O2", "-fno-strict-aliasing", "-shared", "-fPIC", *checks, *include]
        tool(compiler, *flags, c_file, "-o", half)
        half.rename(target)
    spec = importlib.util.spec_from_file_location(name, target)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
