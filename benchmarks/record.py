"""Figures for later: everything as JSON, and the tables as a section of ``RESULTS.md``."""

import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.load import wrk
from benchmarks.scenarios import Result

RESULTS = Path(__file__).parent / "RESULTS.md"
BEGIN, END = ("<!-- recorded by python -m benchmarks --record: begin -->", "<!-- recorded: end -->")


def cpu_model() -> str:
    """The processor as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def revision() -> str:
    """The commit that was measured, with a mark when files were changed."""
    if shutil.which("git") is None:
        return "unknown"
    root = Path(__file__).parent
    done = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def circumstances(contenders: Mapping[str, Contender], command: Sequence[str]) -> dict[str, Any]:
    """Machine, versions and command lines."""
    return {
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": " ".join(command),
        "revision": revision(),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "wrk": wrk.version(),
        "contenders": {
            name: {"version": c.version, "command": c.command, "configuration": c.configuration}
            for name, c in contenders.items()
        },
    }


def write_json(path: Path, facts: Mapping[str, Any], results: Sequence[Result]) -> None:
    """Everything, raw rounds included."""
    path.write_text(json.dumps({**facts, "results": [r.as_dict() for r in results]}, indent=1) + "\n")


def section(facts: Mapping[str, Any], results: Sequence[Result]) -> str:
    """The recorded section: how it was taken, then a block for each scenario."""
    versions = "\n".join(
        f"- {name}: {c['version'] or 'no version'}" + (f", `{_shown(c['command'])}`" if c["command"] else "")
        for name, c in facts["contenders"].items()
    )
    blocks = "\n\n".join(f"```text\n{result}\n```" for result in results)
    return f"""{BEGIN}

Taken {facts["when"]} at revision {facts["revision"]} with `{facts["command"]}` on {facts["machine"]},
Linux {facts["kernel"]}, Python {facts["python"]}, {facts["wrk"]}.

{versions}

{blocks}

{END}"""


def _shown(command: str) -> str:
    """A command line without this machine's paths."""
    return " ".join(Path(word).name if word.startswith("/") else word for word in command.split())


def update(text: str, new: str) -> str:
    """``text`` with its recorded section replaced by ``new``, or with ``new`` at its end."""
    if BEGIN in text and END in text:
        before, rest = text.split(BEGIN, 1)
        return before + new + rest.split(END, 1)[1]
    return f"{text.rstrip()}\n\n{new}\n"
