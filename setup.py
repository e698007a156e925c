"""Builds the compiled modules: every ``.pyx`` below ``src/`` is one extension of the same dotted name.

``TIDEGATE_SANITIZE=1`` builds them a second way, with AddressSanitizer, UBSan and Cython's own checks.
"""

import os
import platform
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path("src")
SANITIZE = os.environ.get("TIDEGATE_SANITIZE") == "1"

compile_args = ["-std=gnu11", "-fno-strict-aliasing", "-Wno-unused-function"]
link_args: list[str] = []
if platform.machine() == "x86_64":
    compile_args.append("-mcx16")  # 16-byte compare-and-swap inlined, never libatomic's lock
if SANITIZE:
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    # Python's own flags bring -fwrapv, with which an overflow is defined and UBSan says nothing about it, and -g, which
    # describes each variable, where a report asks for lines only. So, and with -Og, it is built in half the time.
    compile_args += ["-Og", "-g1", "-fno-wrapv", *checks]
    link_args += checks
else:
    # Python's own flags bring -g: without what it adds the modules are a fifth as large and build a third faster.
    compile_args += ["-O3", "-g0"]
    # Code and constants in one segment: with one each, a small module takes two pages more, and there are a hundred.
    link_args += ["-Wl,-z,noseparate-code"]

directives = {
    "language_level": 3,
    "boundscheck": SANITIZE,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": SANITIZE,
    "nonecheck": SANITIZE,
    "embedsignature": True,
    "freethreading_compatible": False,
}


def extensions() -> list[Extension]:
    """One extension per ``.pyx`` file, named for its place in the tree."""
    # cythonize() itself follows .pxd files and rewrites the .c of whoever cimports a changed one; headers that
    # include headers are the one thing it does not see.
    headers = sorted(str(p) for p in ROOT.rglob("*.h"))
    found = []
    # The largest first: what is begun last must not keep one core busy while the others have nothing left.
    for source in sorted(ROOT.rglob("*.pyx"), key=lambda path: (-path.stat().st_size, path)):
        name = ".".join(source.with_suffix("").relative_to(ROOT).parts)
        found.append(
            Extension(
                name,
                [str(source)],
                include_dirs=[str(source.parent), str(ROOT)],
                depends=headers,
                extra_compile_args=compile_args,
                extra_link_args=link_args,
            )
        )
    return found


def modules() -> list[Extension]:
    """The extensions, translated to C unless the command only asks which files there are (a minute less)."""
    if {"sdist", "egg_info", "dist_info"} & set(sys.argv):
        return extensions()
    if os.environ.get("TIDEGATE_BUILT") == "1":
        return []  # built in place already; an editable installation would compile each again, in a folder of its own
    return cythonize(
        extensions(),
        build_dir="build/cython-sanitized" if SANITIZE else "build/cython",
        include_path=[str(ROOT)],
        compiler_directives=directives,
        nthreads=os.cpu_count() or 1,
    )


if __name__ == "__main__":  # the processes that translate import this file where they are not forked
    setup(
        ext_modules=modules(),
        options={"build_ext": {"parallel": os.cpu_count()}},
    )
