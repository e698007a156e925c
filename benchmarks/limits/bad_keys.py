"""A flood of wrong keys from one address: ``python -m benchmarks bad-keys``.

A key that is presented is hashed and looked up, with tokens it will be asked for elsewhere. So the edge limit of the
address is asked before: what it refuses is looked up nowhere. What reached authentication is counted there. The load is
pipelined, as a flood would be: one request a system call is no more than the network lets through.
"""

import tempfile
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks import processes, table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.load import own, programs
from benchmarks.meter import Meter
from benchmarks.trouble.behind import servers
from benchmarks.trouble.gateway import Running, gateway
from benchmarks.trouble.requests import come_first

RATE, BURST, SECONDS = 100, 100, 3.0
PIPELINE, FLOOD = 32, 100_000  # requests under way on each of 64 connections; a second
COUNTER = "tidegate_requests_unauthenticated_total"

ROUTES = f"""
[upstreams.small]
endpoints = ["127.0.0.1:{{small}}"]
[auth.partners]
kind = "key"
keys = [{{{{ key = "sha256:{"ab" * 32}", subject = "acme" }}}}]
[limits.edge]
rate = "{RATE}/s"
burst = {BURST}
key = "client.ip"
[[routes]]
name = "small"
path = "/small"
upstream = "small"
auth = "partners"
limits = ["edge"]
"""


def bad_keys() -> int:
    """Measures and prints; 1 when more keys were looked up than the edge lets in."""
    come_first()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as ports:
        program = programs.build("closed", Path(name))
        with gateway(ROUTES.format(**ports), server="workers = 1") as running:
            processes.pin(processes.tree(running.process.pid), processes.CONTENDER_CORE)
            before, began_s = looked_up(running), time.monotonic()
            arguments = ["--port", str(running.public[1]), "--path", "/small", "--key", "wrong", "--expect", "4"]
            arguments += ["--pipeline", str(PIPELINE)]
            report = own.run(program, arguments, SECONDS, Meter())
            found, took_s = looked_up(running) - before, time.monotonic() - began_s
    if report.errors:
        raise RuntimeError(f"{report.errors} answers of another kind, {report.complaint}")
    allowed = BURST + 1 + RATE * took_s
    row = {
        "wrong keys from one address": f"{SECONDS:g} s",
        "requests/s": table.count(report.requests / report.seconds),
        "looked up": table.count(found),
        "edge lets in": table.count(allowed),
    }
    print(table.render([row]))
    return exit_code(
        [
            at_least("requests a second with wrong keys", report.requests / report.seconds, FLOOD),
            at_most("keys looked up, of what the edge lets in,", found / allowed, 1.0),
        ]
    )


def looked_up(running: Running) -> float:
    """Keys that were looked up in vain so far."""
    _, text = running.ask("/metrics")
    samples = (one for family in text_string_to_metric_families(text.decode()) for one in family.samples)
    return next(one.value for one in samples if one.name == COUNTER)
