"""The tail at half the maximum rate, open loop for a minute, with a million live Python objects in the worker."""

import sys
from dataclasses import dataclass

from benchmarks.goals import Verdict, at_most
from benchmarks.ground import Session
from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.scenarios.paced import maximum_rate, paced
from benchmarks.scenarios.result import Result, Wish


@dataclass(frozen=True)
class Tail:
    """p99 and the longest pause; nginx and nobody beside it, for what the machine itself does."""

    name: str = "tail"
    title: str = "open loop at half the maximum rate, a million live objects in Tidegate's worker"
    seconds: float = 60.0
    beside_seconds: float = 15.0

    def run(self, session: Session, wish: Wish) -> Result:
        """Half of Tidegate's maximum for Tidegate, of nginx's for nginx."""
        names = session.start(wish.contenders or ("tidegate-million", "nginx", "direct"))
        reports: dict[str, tuple[float, float, Report, Meter]] = {}
        for name in names:
            contender = session.contenders[name]
            limit = maximum_rate(session, contender)
            # Nobody between: only to see what generator and machine do by themselves, at a rate like the others'.
            rate = min((r for r, *_ in reports.values()), default=20_000.0) if name == "direct" else limit / 2
            seconds = self.seconds if name.startswith("tidegate") else min(self.beside_seconds, self.seconds)
            if wish.progress:
                print(f"\r{self.name} {name} for {seconds:g} s ", end="", file=sys.stderr, flush=True)
            meter = Meter(contender.pids, session.upstream_pids)
            reports[name] = (rate, seconds, paced(session, contender, rate, seconds, meter), meter)
        if wish.progress:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        rows = [
            {
                "contender": name,
                "rate": f"{rate:,.0f}",
                "seconds": f"{seconds:g}",
                "p50 us": f"{report.latency_us['p50']:.0f}",
                "p99 us": f"{report.latency_us['p99']:.0f}",
                "p99.9 us": f"{report.latency_us['p99.9']:.0f}",
                "max ms": f"{report.latency_us['max'] / 1e3:.1f}",
                "over 20 ms": str(report.extra["over_20ms"]),
                "core": f"{meter.cpu_busy:.0%}",
                "generator late max ms": f"{report.latency_us['late max'] / 1e3:.1f}",
                "errors": str(report.errors),
            }
            for name, (rate, seconds, report, meter) in reports.items()
        ]
        raw = {
            name: {"rate": rate, "seconds": seconds, "errors": report.errors, **report.latency_us, **report.extra}
            for name, (rate, seconds, report, _) in reports.items()
        }
        notes = [f"{name}: {r.errors} errors ({r.complaint})" for name, (_, _, r, _) in reports.items() if r.errors]
        return Result(self.name, self.title, rows, self._verdicts(reports), notes, raw)

    def _verdicts(self, reports: dict[str, tuple[float, float, Report, Meter]]) -> list[Verdict]:
        own = next((v for name, v in reports.items() if name.startswith("tidegate")), None)
        report = own[2] if own and not own[2].errors else None
        p99 = report.latency_us["p99"] / 1e3 if report else None
        longest = report.latency_us["max"] / 1e3 if report else None
        note = f"the generator itself was late by up to {report.latency_us['late max'] / 1e3:.1f} ms" if report else ""
        return [at_most("tidegate p99, ms,", p99, 5.0), at_most("tidegate longest pause, ms,", longest, 20.0, note)]
