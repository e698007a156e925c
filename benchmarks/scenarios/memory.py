"""Resident memory: idle, for each further idle connection (plain and TLS), and during a body of 1 GB."""

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes, table
from benchmarks.contenders import Contender
from benchmarks.goals import Verdict, at_most
from benchmarks.ground import Session
from benchmarks.load import own, programs
from benchmarks.meter import Meter
from benchmarks.scenarios.loads import by_own
from benchmarks.scenarios.result import Result, Wish

KB, MB = 1e3, 1e6


def peak_rss(pid: int) -> int:
    """The most that has been resident since ``forget_peak``, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no VmHWM in /proc/{pid}/status")


def forget_peak(pid: int) -> None:
    """Makes the kernel count the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass(frozen=True)
class Memory:
    """What a worker needs. The worker is the process that works when there is load."""

    name: str = "memory"
    title: str = "memory of the worker: idle, by idle connection, during a body of 1 GB"
    contenders: tuple[str, ...] = ("nginx", "tidegate", "envoy", "caddy")
    connections: int = 10_000
    tls_connections: int = 2_000
    body: int = 1_000_000_000

    def run(self, session: Session, wish: Wish) -> Result:
        """One contender after the other, started anew for plain and again for TLS connections."""
        rows, raw = [], {}
        for name in wish.contenders or self.contenders:
            if not (probe := _afresh(session, name)):
                continue
            if wish.progress:
                print(f"\r{self.name} {name:<16}", end="", file=sys.stderr, flush=True)
            raw[name] = probe.measure(self)
            if again := _afresh(session, name):
                raw[name]["tls_connection"] = again.growth(500, self.tls_connections, tls=True)
                raw[name]["complaint"] = raw[name]["complaint"] or again.complaint
            rows.append(_row(name, raw[name]))
        if wish.progress:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        notes = [f"{name} idle: {figures['processes']}" for name, figures in raw.items()]
        notes += [f"{name}: {figures['complaint']}" for name, figures in raw.items() if figures["complaint"]]
        return Result(self.name, self.title, rows, _verdicts(raw.get("tidegate", {})), notes, raw)


class Probe:
    """Measures one contender; what goes wrong is said in ``complaint`` and leaves a gap in the figures."""

    def __init__(self, session: Session, contender: Contender) -> None:
        self.contender = contender
        self.program = programs.build("closed", session.ground.programs)
        self.complaint = ""
        # What still starts up would look busier than the worker under load.
        processes.idle_soon(contender.refresh())
        self.idle = {pid: processes.memory(pid) for pid in contender.refresh()}
        before = {pid: processes.cpu_ns([pid]) for pid in contender.pids}
        by_own("/small", 16)(session, contender, 1.0, Meter())
        self.worker = max(before, key=lambda pid: processes.cpu_ns([pid]) - before[pid])

    def __repr__(self) -> str:
        return f"<Probe of {self.contender.name}, worker {self.worker}>"

    def measure(self, what: Memory) -> dict[str, Any]:
        """All figures, in bytes."""
        return {
            "idle_rss": self.idle[self.worker].rss,
            "idle_pss": self.idle[self.worker].pss,
            "all_pss": sum(m.pss for m in self.idle.values()),
            "processes": ", ".join(f"{m.name} {table.megabytes(m.rss)}" for m in self.idle.values()),
            "download": self.body(["--path", f"/bytes/{what.body}"]),
            "upload": self.body(["--path", "/upload", "--upload", str(what.body)]),
            # After the first few hundred, so that pools and arenas that exist once are not charged to connections.
            "connection": self.growth(1_000, what.connections),
            "tls_connection": None,
            "complaint": self.complaint,
        }

    def _report(self, generator: subprocess.Popen[str]) -> bool:
        report = own.parse(own.let_go(generator))
        if report.errors:
            self.complaint = f"{report.errors} errors: {report.complaint}"
        return report.errors == 0

    def growth(self, first: int, further: int, *, tls: bool = False) -> float | None:
        """Bytes of resident growth for each of ``further`` idle connections, ``first`` being open already."""
        port = self.contender.tls_port if tls else self.contender.port
        common = ["--port", str(port), "--hold", *(["--tls"] if tls else []), "--connections"]
        with contextlib.ExitStack() as held:
            held.enter_context(own.generator(self.program, [*common, str(first)]))
            processes.idle_soon(self.contender.pids)
            before = processes.memory(self.worker).rss
            generator = held.enter_context(own.generator(self.program, [*common, str(further)]))
            processes.idle_soon(self.contender.pids)
            after = processes.memory(self.worker).rss
            return (after - before) / further if self._report(generator) else None

    def body(self, what: Sequence[str]) -> int | None:
        """Bytes by which the worker's peak exceeds what it had before, during one large body."""
        processes.idle_soon(self.contender.pids)
        before = processes.memory(self.worker).rss
        forget_peak(self.worker)
        # A generator says it is ready after one whole exchange on each connection: no more is asked of this one.
        options = ["--port", str(self.contender.port), "--connections", "1", "--hold", *what]
        with own.generator(self.program, options) as generator:
            return peak_rss(self.worker) - before if self._report(generator) else None


def _afresh(session: Session, name: str) -> Probe | None:
    """A probe of a contender started anew, for a heap that has held much takes new things in without growing."""
    session.stop(name)
    if not session.start([name]) or not session.contenders[name].pids:
        return None
    return Probe(session, session.contenders[name])


def _row(name: str, figures: dict[str, Any]) -> dict[str, str]:
    def shown(key: str, unit: float, text: str) -> str:
        value = figures[key]
        return "-" if value is None else f"{value / unit:.1f} {text}"

    return {
        "contender": name,
        "idle RSS": shown("idle_rss", MB, "MB"),
        "idle PSS": shown("idle_pss", MB, "MB"),
        "all processes PSS": shown("all_pss", MB, "MB"),
        "a connection": shown("connection", KB, "KB"),
        "a TLS connection": shown("tls_connection", KB, "KB"),
        "1 GB down": shown("download", MB, "MB"),
        "1 GB up": shown("upload", MB, "MB"),
    }


def _verdicts(figures: dict[str, Any]) -> list[Verdict]:
    def scaled(key: str, unit: float) -> float | None:
        value = figures.get(key)
        return None if value is None else value / unit

    return [
        at_most("tidegate idle worker, MB resident,", scaled("idle_rss", MB), 40.0),
        at_most("tidegate, KB a further idle connection,", scaled("connection", KB), 3.0),
        at_most("tidegate, KB a further idle TLS connection,", scaled("tls_connection", KB), 45.0),
        at_most("tidegate growth during 1 GB down, MB,", scaled("download", MB), 5.0),
        at_most("tidegate growth during 1 GB up, MB,", scaled("upload", MB), 5.0),
    ]
