"""Resident memory: idle, for each further idle connection (plain and TLS), and during a body of 1 GB."""

import contextlib
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
        """One contender after the other, each started anew."""
        rows, raw = [], {}
        for name in wish.contenders or self.contenders:
            session.stop(name)  # what earlier loads left in its heap is not idle memory
            if not session.start([name]) or not session.contenders[name].pids:
                continue
            if wish.progress:
                print(f"\r{self.name} {name:<16}", end="", file=sys.stderr, flush=True)
            raw[name] = self._measure(session, session.contenders[name])
            rows.append(_row(name, raw[name]))
        if wish.progress:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        notes = [f"{name}: {figures['processes']}" for name, figures in raw.items()]
        notes += [
            f"{name}: {figures['complaint']}"
            for name, figures in raw.items()
            if figures["complaint"]
        ]
        return Result(
            self.name, self.title, rows, _verdicts(raw.get("tidegate", {})), notes, raw
        )

    def _measure(self, session: Session, contender: Contender) -> dict[str, Any]:
        idle = [processes.memory(pid) for pid in contender.refresh()]
        worker = self._worker(session, contender)
        figures: dict[str, Any] = {
            "idle_rss": next((m.rss for m in idle if m.pid == worker), None),
            "idle_pss": next((m.pss for m in idle if m.pid == worker), None),
            "all_pss": sum(m.pss for m in idle),
            "processes": ", ".join(f"{m.name} {table.megabytes(m.rss)}" for m in idle)
            + " resident when idle",
            "complaint": "",
        }
        # After the first few hundred, so that pools and arenas that exist once are not charged to connections.
        figures["connection"] = self._growth(
            session, contender, worker, 1_000, self.connections, [], figures
        )
        figures["tls_connection"] = self._growth(
            session, contender, worker, 500, self.tls_connections, ["--tls"], figures
        )
        figures["download"] = self._body(
            session, contender, worker, [f"/bytes/{self.body}"], figures
        )
        figures["upload"] = self._body(
            session, contender, worker, ["/upload", "--upload", str(self.body)], figures
        )
        return figures

    def _worker(self, session: Session, contender: Contender) -> int:
        before = {pid: processes.cpu_ns([pid]) for pid in contender.pids}
        by_own("/small", 16)(session, contender, 0.3, Meter())
        return max(before, key=lambda pid: processes.cpu_ns([pid]) - before[pid])

    def _growth(
        self,
        session: Session,
        contender: Contender,
        worker: int,
        first: int,
        further: int,
        options: Sequence[str],
        figures: dict[str, Any],
    ) -> float | None:
        """Bytes of resident growth for each of ``further`` idle connections, ``first`` being open already."""
        program = programs.build("closed", session.ground.programs)
        common = [
            "--port",
            str(contender.tls_port if options else contender.port),
            "--hold",
            *options,
        ]
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(
                    own.generator(program, [*common, "--connections", str(first)])
                )
                processes.idle_soon(contender.pids)
                before = processes.memory(worker).rss
                generator = held.enter_context(
                    own.generator(program, [*common, "--connections", str(further)])
                )
                processes.idle_soon(contender.pids)
                after = processes.memory(worker).rss
                assert generator.stdin is not None and generator.stdout is not None
                generator.stdin.write("\n")
                generator.stdin.flush()
                report = own.parse(generator.stdout.readline())
            except own.GeneratorError as error:
                figures["complaint"] = str(error)
                return None
        if report.errors:
            figures["complaint"] = (
                f"{report.errors} of {further} connections failed: {report.complaint}"
            )
            return None
        return (after - before) / further

    def _body(
        self,
        session: Session,
        contender: Contender,
        worker: int,
        what: Sequence[str],
        figures: dict[str, Any],
    ) -> int | None:
        """Bytes by which the worker's peak exceeds what it had before, during one body of 1 GB."""
        program = programs.build("closed", session.ground.programs)
        processes.idle_soon(contender.pids)
        before = processes.memory(worker).rss
        forget_peak(worker)
        # "Ready" comes after one whole exchange on each connection, so nothing more is asked of it.
        options = [
            "--port",
            str(contender.port),
            "--connections",
            "1",
            "--hold",
            "--path",
            *what,
        ]
        with own.generator(program, options) as generator:
            assert generator.stdin is not None and generator.stdout is not None
            generator.stdin.write("\n")
            generator.stdin.flush()
            report = own.parse(generator.stdout.readline())
        if report.errors:
            figures["complaint"] = f"{what[0]}: {report.complaint}"
            return None
        return peak_rss(worker) - before


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
        at_most(
            "tidegate, KB a further idle connection,", scaled("connection", KB), 3.0
        ),
        at_most(
            "tidegate, KB a further idle TLS connection,",
            scaled("tls_connection", KB),
            45.0,
        ),
        at_most("tidegate growth during 1 GB down, MB,", scaled("download", MB), 5.0),
        at_most("tidegate growth during 1 GB up, MB,", scaled("upload", MB), 5.0),
    ]
