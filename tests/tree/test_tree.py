"""The rules that hold the tree together. Each failure names the file and says how to mend it."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidegate

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tidegate"
TESTS = ROOT / "tests"
LINES_MAX = 600

# Imports go downwards only: from a later line to an earlier one, or within a line as long as no circle arises.
LAYERS = [
    ["errors"],
    ["config"],
    ["wire", "memory", "net"],
    ["redis"],
    ["limits", "cache", "routing"],
    ["upstream"],
    ["exchange", "filters", "observe"],
    ["edge", "push"],
    ["process"],
    ["admin", "cli", "bench", "doctor", "lab", "profile"],
    ["testing"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PUBLIC_FACE_RANK = RANK["exchange"]  # "from tidegate import Filter" is what somebody outside writes

# Modules that do not stand where their folder does.
LEAVES = {
    "tidegate.process.slices": "imports nothing of ours, and every layer may have long work",
    "tidegate.process.tasks": "imports nothing of ours, and every layer may start a task",
}

# The checker looks at the whole gateway, and nothing that serves imports it: it stands above what it checks.
CHECKER = ("tidegate.config.check", "tidegate.config.rules")

# Modules with no test file of their own, each with the reason. The tests of this file keep the list short: an entry
# whose test file or module has changed state is a finding too.
NO_TEST_FILE: dict[str, str] = {}

# Written on the first day before their tests; the list is empty when that day is over.
OWED = {}

# What a worker may load: validation and the admin API would more than double its memory.
WORKER_PACKAGES = [
    *("wire", "memory", "net", "limits", "cache", "routing", "upstream", "exchange", "filters", "observe", "edge"),
]
NEVER_IN_A_WORKER = ["pydantic", "fastapi", "starlette", "uvicorn", "typer", "rich"]

# The wire reads no clock and does no I/O; balancing and limits are arithmetic on numbers they are given.
NO_CLOCK_NO_IO = [
    *("wire/*", "upstream/balance*", "limits/*", "limits/adaptive/*"),
    *("cache/freshness*", "cache/sketch*", "cache/space*", "cache/sizes*", "cache/envelope*", "cache/pacing*"),
]
CLOCKS_AND_IO = {"asyncio", "uvloop", "time", "socket", "select", "ssl", "threading", "libc.time", "posix.time"}

VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "data", "info", "misc"}

IMPORT_LINE = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|.*)|c?import[ \t]+(.*))", re.MULTILINE
)
DOCSTRING = re.compile(r'""".*?"""|\'\'\'.*?\'\'\'', re.DOTALL)


def told(path: Path) -> str:
    return str(path.relative_to(ROOT))


def files(*patterns: str, below: Path = SOURCE) -> list[Path]:
    return sorted(path for pattern in patterns for path in below.rglob(pattern))


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def fail_with(findings: list[str]) -> None:
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


MODULES = [path for path in files("*.py", "*.pyx") if path.stem not in {"__init__", "__main__"}]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports or cimports, by absolute name."""
    text = path.read_text()
    if path.suffix in {".pyx", ".pxd"}:
        for source, names, plain in IMPORT_LINE.findall(DOCSTRING.sub("", text)):
            for name in re.sub(r"#[^\n]*", "", names or plain).strip("() \t").split(","):
                word = name.split(" as ")[0].strip()
                if word:
                    yield f"{source}.{word}" if source else word
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{told(path)}:{node.lineno}: relative import; write it out from tidegate"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(name: str) -> str:
    """The room of a module: the word after ``tidegate.``"""
    return name.split(".")[1] if "." in name else ""


def rank_of(target: str) -> int | None:
    """The layer of an imported name, None if it may be imported from anywhere or is not ours."""
    parts = target.split(".")
    if parts[0] != "tidegate" or ".".join(parts[:3]) in LEAVES or parts[1:2] == ["__version__"]:
        return None
    if len(parts) == 1 or parts[1] not in RANK:
        return PUBLIC_FACE_RANK
    return RANK[parts[1]]


def test_every_module_has_a_test_file() -> None:
    findings = []
    for path in MODULES:
        name = module_name(path)
        test = TESTS / path.relative_to(SOURCE).parent / f"test_{path.stem}.py"
        if test.exists() and name in NO_TEST_FILE:
            findings.append(f"{told(test)} exists: take {name} out of NO_TEST_FILE in {told(Path(__file__))}")
        if not test.exists() and name not in {*NO_TEST_FILE, *OWED}:
            findings.append(f"{told(path)} has no test file: write {told(test)}")
    gone = set(NO_TEST_FILE) - {module_name(path) for path in MODULES}
    findings += [f"{name} is no longer a module: take it out of NO_TEST_FILE" for name in sorted(gone)]
    fail_with(findings)


def test_every_test_file_has_its_module() -> None:
    """A test file left behind by a renamed module would no longer be found by who changes the module."""
    known = {path.relative_to(SOURCE).with_suffix("") for path in MODULES}
    packages = {path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_dir()}
    mirrored = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    findings = []
    for test in files("test_*.py", below=TESTS):
        place = test.relative_to(TESTS)
        module = place.parent / place.stem.removeprefix("test_")
        # A module may have several test files: tests/wire/test_http1_chunks.py belongs to wire/http1.pyx.
        belongs = any(module.parent == one.parent and (module.name + "_").startswith(one.name + "_") for one in known)
        if place.parts[0] in mirrored and not belongs and module not in packages:
            findings.append(f"{told(test)}: no module src/tidegate/{module}.py(x); rename the test with its module")
    fail_with(findings)


def test_every_compiled_module_has_a_header_and_types() -> None:
    findings = [
        f"{told(path)} has no {path.stem}{suffix}: write {told(path.with_suffix(suffix))}"
        for path in files("*.pyx")
        for suffix in (".pxd", ".pyi")
        if not path.with_suffix(suffix).exists()
    ]
    findings += [
        f"{told(path)} has no {path.stem}.pyx beside it: remove it or write the module"
        for path in files("*.pyi")
        if not path.with_suffix(".pyx").exists()
    ]
    fail_with(findings)


def test_every_folder_is_a_known_room() -> None:
    rooms = [path.parent.name for path in SOURCE.glob("*/__init__.py") if path.parent.name not in RANK]
    fail_with(
        [
            f"src/tidegate/{room}: give it a line in LAYERS of {told(Path(__file__))}"
            for room in rooms
            if room not in RANK
        ]
    )


def test_every_package_says_what_it_is() -> None:
    findings = []
    folders = {path.parent for path in files("*.py", "*.pyx", "*.pxd")}
    for folder in sorted(folders):
        init = folder / "__init__.py"
        if not init.exists() or not ast.get_docstring(ast.parse(init.read_text())):
            findings.append(
                f"{told(init)}: write a docstring that is the map of this room: its nouns and how they talk"
            )
    fail_with(findings)


def test_imports_go_one_way() -> None:
    findings = []
    for path in files("*.py", "*.pyx", "*.pxd", "*.pyi"):
        name = module_name(path)
        if name == "tidegate":
            continue  # the public face shows what lies behind it
        own = 0 if name in LEAVES else RANK.get(package(name), RANK["cli"])
        if name.startswith(CHECKER):
            own = RANK["exchange"]
        for target in imported(path):
            rank = rank_of(target)
            if name in LEAVES and target.split(".")[0] == "tidegate":
                findings.append(f"{told(path)} imports {target}: a leaf imports nothing of ours")
            elif rank is not None and rank > own:
                findings.append(
                    f"{told(path)} imports {target}, which stands above {package(name)}:"
                    " turn the dependency round (pass the value or a callable in) or move the module"
                )
    fail_with(findings)


def test_rooms_import_each_other_in_no_circle() -> None:
    edges: dict[str, set[str]] = {}
    for path in files("*.py", "*.pyx", "*.pxd", "*.pyi"):
        own = package(module_name(path))
        if module_name(path) in LEAVES or module_name(path).startswith(CHECKER) or own not in RANK:
            continue
        rooms = {package(target) for target in imported(path) if rank_of(target) is not None}
        edges.setdefault(own, set()).update((rooms & set(RANK)) - {own})
    findings = []
    while edges:
        free = [room for room, targets in edges.items() if not targets & set(edges)]
        if not free:
            shown = ", ".join(f"{room} -> {'/'.join(sorted(to & set(edges)))}" for room, to in sorted(edges.items()))
            findings.append(f"these rooms import each other in a circle: {shown}; move what both need below them")
            break
        for room in free:
            del edges[room]
    fail_with(findings)


def test_pure_rooms_read_no_clock_and_do_no_io() -> None:
    findings = [
        f"{told(path)} imports {target}: take the time (or the bytes) as an argument"
        for pattern in NO_CLOCK_NO_IO
        for path in SOURCE.glob(pattern)
        if path.suffix in {".py", ".pyx", ".pxd"}
        for target in imported(path)
        if {target, target.rsplit(".", 1)[0], target.split(".")[0]} & CLOCKS_AND_IO
    ]
    fail_with(findings)


def test_cython_is_not_needed_at_run_time() -> None:
    findings = [
        f"{told(path)} imports {target}: only .pyx files may (it is gone once they are compiled)"
        for path in files("*.py", "*.pyi")
        for target in imported(path)
        if target.split(".")[0].lower() == "cython"
    ]
    fail_with(findings)


def test_no_file_is_longer_than_its_noun() -> None:
    patterns = ("*.py", "*.pyx", "*.pxd", "*.pyi", "*.h", "*.c")
    candidates = [path for folder in (SOURCE, TESTS, ROOT / "benchmarks") for path in files(*patterns, below=folder)]
    findings = []
    for path in candidates:
        lines = len(path.read_text().splitlines())
        if lines > LINES_MAX:
            findings.append(f"{told(path)} has {lines} lines, {LINES_MAX} is the bound: find the second noun in it")
    fail_with(findings)


def test_no_module_has_a_vague_name() -> None:
    findings = [f"{told(path)}: name it for its noun" for path in MODULES if path.stem in VAGUE_NAMES]
    fail_with(findings)


def test_tasks_are_started_through_one_door() -> None:
    """The linter bans the names in asyncio; a method of a loop object it cannot see, and Cython it does not read."""
    mend = "start it with tidegate.process.tasks.start, which names it and keeps a reference"
    findings = []
    for path in files("*.py", "*.pyx"):
        if module_name(path) == "tidegate.process.tasks":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # A TaskGroup keeps its tasks itself.
            if re.search(r"(?<!group)\.create_task\(|\bensure_future\(", line):
                findings.append(f"{told(path)}:{number} starts a task by itself: {mend}")
    fail_with(findings)


def test_a_worker_loads_no_validation_and_no_admin_api() -> None:
    names = [
        module_name(path)
        for path in MODULES
        if package(module_name(path)) in WORKER_PACKAGES or module_name(path) in {*LEAVES, "tidegate.process.worker"}
    ]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1].split(','):\n"
        "    importlib.import_module(name)\n"
        "    found = [heavy for heavy in sys.argv[2].split(',') if heavy in sys.modules]\n"
        "    if found: sys.exit(f'{name} loads {\", \".join(found)}: import it where it is used, outside the worker')\n"
    )
    # "tidegate.process.worker" last: what it alone brings in is then told under its name.
    names.sort(key=lambda name: (name == "tidegate.process.worker", name))
    run = subprocess.run(
        [sys.executable, "-c", program, ",".join(names), ",".join(NEVER_IN_A_WORKER)],
        env={**os.environ, "PYTHONPATH": str(Path(tidegate.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    fail_with([run.stderr.strip()] if run.returncode else [])


def test_every_compiled_module_is_built_from_its_source() -> None:
    """A compiled module that is missing would otherwise show up as whatever import comes first."""
    findings = [
        f"{told(path)} is not built: run ./dev build"
        for path in files("*.pyx")
        if importlib.util.find_spec(module_name(path)) is None
    ]
    fail_with(findings)
