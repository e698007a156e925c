"""Runs ``closed.c`` and ``paced.c``: waits until they are ready, lets them go, reads their line of JSON.

Their connections are open and warm before the meter starts, so that neither connecting nor a TLS handshake is counted
unless it is what is measured.
"""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.processes import LOAD_CORE

EXTRA = ("opened", "cipher", "lost_idle", "waiting_most", "over_20ms")


class GeneratorError(RuntimeError):
    """A generator did not do its part; the text has its own words."""


def parse(line: str, command: str = "", payload_bytes: int = 0) -> Report:
    """The report in a generator's line of JSON.

    With ``payload_bytes``, the body of one exchange, exchanges are counted by the bytes that moved: of a few hundred
    large bodies in a second the unfinished ones are too many to leave out.
    """
    try:
        said = json.loads(line)
        requests, received, sent = (int(said["requests"]), int(said["received"]), int(said.get("sent", 0)))
        report = Report(
            requests=max(received, sent) // payload_bytes if payload_bytes else requests,
            seconds=float(said["seconds"]),
            errors=int(said["errors"]),
            received_bytes=received,
            sent_bytes=sent,
            latency_us={k: float(v) for k, v in said.get("latency_us", {}).items()},
            command=command,
            complaint=said["complaint"],
            extra={k: said[k] for k in EXTRA if k in said},
        )
    except (ValueError, KeyError) as error:
        raise ValueError(f"this is not the line of a generator ({error}): {line.strip() or '(nothing)'}") from error
    return report


@contextlib.contextmanager
def generator(program: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A generator that has said it is ready; it is ended when the block is left."""
    argv = ["taskset", "-c", str(LOAD_CORE), str(program), *arguments]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, process_group=0
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                process.wait(10)
                errors.seek(0)
                raise GeneratorError(f"{' '.join(argv)}: {errors.read().strip() or process.returncode}")
            yield process
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def let_go(process: subprocess.Popen[str]) -> str:
    """Tells a ready generator to begin; returns its line of JSON when it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


def run(
    program: Path, arguments: Sequence[str], seconds: float, meter: Meter | None = None, payload_bytes: int = 0
) -> Report:
    """One load of ``seconds``."""
    meter = meter or Meter()
    arguments = [*arguments, "--seconds", f"{seconds:g}"]
    with generator(program, arguments) as process:
        meter.begin(process.pid)
        line = let_go(process)
        meter.end()
    return parse(line, f"{program.name} {' '.join(arguments)}", payload_bytes)
