"""Added latency: open loop at a fifth of what nginx can take, the same rate and arrivals for all."""

import statistics
import sys
from dataclasses import dataclass

from benchmarks.contenders import make
from benchmarks.goals import Verdict, at_most
from benchmarks.ground import Session
from benchmarks.load.report import Report
from benchmarks.rounds import best_third, order
from benchmarks.scenarios.paced import maximum_rate, paced
from benchmarks.scenarios.result import Result, Wish


@dataclass(frozen=True)
class Latency:
    """p50 and p99 at a fixed low load."""

    name: str = "latency"
    title: str = "added latency, open loop at 20 % of nginx's maximum, 64 connections"
    contenders: tuple[str, ...] = ("nginx", "tidegate", "direct", "envoy", "caddy")
    guests: tuple[str, ...] = ("envoy", "caddy")  # every third rotation
    load_share: float = 0.2
    runs: int = 9
    seconds: float = 2.0

    def run(self, session: Session, wish: Wish) -> Result:
        """Nine alternated runs of each contender."""
        names = session.start(wish.contenders or self.contenders)
        basis = next((name for name in ("nginx", *names) if name in names and make(name).proxies), None)
        if basis is None:
            return Result(self.name, self.title, [], notes=["no contender to take the load from"])
        rate = maximum_rate(session, session.contenders[basis]) * self.load_share
        reports: dict[str, list[Report]] = {name: [] for name in names}
        for rotation in range(self.runs):
            for name in order(names, rotation):
                if name in self.guests and rotation % 3 and not wish.contenders:
                    continue
                reports[name].append(paced(session, session.contenders[name], rate, self.seconds))
                if wish.progress:
                    print(f"\r{self.name} {rotation + 1}/{self.runs} {name:<16}", end="", file=sys.stderr, flush=True)
        if wish.progress:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        return self.conclude(reports, rate, basis)

    def conclude(self, reports: dict[str, list[Report]], rate: float, basis: str) -> Result:
        """Median of the best third for p50 (the machine's fast state), median of all runs for p99."""
        valid = {name: [r for r in own if not r.errors] for name, own in reports.items()}
        p50 = {
            name: best_third((r.latency_us["p50"] for r in own), highest=False) for name, own in valid.items() if own
        }
        p99 = {name: statistics.median(r.latency_us["p99"] for r in own) for name, own in valid.items() if own}
        floor = p50["direct"].value if "direct" in p50 else None
        rows = []
        for name, best in p50.items():
            tails = [r.latency_us["p99"] for r in valid[name]]
            rows.append(
                {
                    "contender": name,
                    "p50 us": f"{best.value:.1f}",
                    "spread": f"{best.low:.1f}..{best.high:.1f}",
                    "added p50": "-" if floor is None or name == "direct" else f"{best.value - floor:+.1f}",
                    "p99 us": f"{p99[name]:.1f}",
                    "p99 range": f"{min(tails):.0f}..{max(tails):.0f}",
                    "max us": f"{max(r.latency_us['max'] for r in valid[name]):.0f}",
                    "generator late p50/p99": "{:.1f}/{:.1f}".format(
                        *(statistics.median(r.latency_us[f"late p{p}"] for r in valid[name]) for p in (50, 99))
                    ),
                    "runs": str(len(valid[name])),
                }
            )
        notes = [
            f"{rate:,.0f} requests/s, a fifth of what {basis} takes here; p50: best third, p99: median of the runs"
        ]
        notes += [
            f"{name}: {len(own) - len(valid[name])} runs thrown away ({own[0].complaint})"
            for name, own in reports.items()
            if len(own) > len(valid[name])
        ]
        raw = {
            "rate": rate,
            "runs": {name: [r.latency_us | {"errors": r.errors} for r in own] for name, own in reports.items()},
        }
        verdicts: list[Verdict] = []
        if "nginx" in reports:
            both = "tidegate" in p50 and "nginx" in p50
            added = p50["tidegate"].value - p50["nginx"].value if both else None
            tail = p99["tidegate"] / p99["nginx"] if both else None
            verdicts = [
                at_most("tidegate p50 over nginx's, us,", added, 15.0),
                at_most("tidegate p99 by nginx's,", tail, 2.0),
            ]
        return Result(self.name, self.title, rows, verdicts, notes, raw)
