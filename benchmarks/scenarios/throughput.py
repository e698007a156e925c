"""Closed loop: how many exchanges a second, and what each costs in CPU."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import instructions, processes, table
from benchmarks.contenders import Contender
from benchmarks.goals import Verdict, at_least, at_most
from benchmarks.ground import Session
from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.rounds import Round, Standing, order, paired_ratio, standing
from benchmarks.scenarios.result import Result, Wish

CIPHERS = "TLS_AES_256_GCM_SHA384"  # OpenSSL's first choice; closed.c offers no other, so nobody runs a cheaper one

Load = Callable[[Session, Contender, float, Meter], Report]


@dataclass(frozen=True)
class Goal:
    """A demand on the ratio of two contenders."""

    against: str
    rate: float | None = None  # at least, by requests per second
    cpu: float | None = None  # at most, by CPU per request
    equal: float | None = None  # both within so much of 1
    contender: str = "tidegate"


@dataclass(frozen=True)
class Throughput:
    """One closed-loop load over several contenders."""

    name: str
    title: str
    load: Load
    contenders: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    baseline: str = "nginx"
    guests: tuple[str, ...] = ()  # take part in every third rotation only
    payload_bytes: int = 0  # of one exchange; adds a column of GB/s
    is_tls: bool = False

    def run(self, session: Session, wish: Wish) -> Result:
        """Plays the rounds and concludes."""
        names = session.start(wish.contenders or self.contenders)
        agreed = [negotiated(session.contenders[name]) for name in names] if self.is_tls else []
        rounds: list[Round] = []
        for rotation in range(wish.rounds):
            for name in order(names, rotation):
                if name in self.guests and rotation % 3 and not wish.contenders:
                    continue
                rounds.append(self.play(session, session.contenders[name], rotation, wish.seconds))
                if wish.progress:
                    print(f"\r{self.name} {rotation + 1}/{wish.rounds} {name:<16}", end="", file=sys.stderr, flush=True)
        counts = self._instructions(session, names) if wish.instructions else {}
        if wish.progress:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        return self.conclude(rounds, names, counts, dict(session.absent), agreed)

    def play(self, session: Session, contender: Contender, rotation: int, seconds: float) -> Round:
        """One round: the load, between two readings of everybody's CPU time."""
        pids = contender.refresh()
        processes.pin(pids, processes.CONTENDER_CORE)
        meter = Meter(pids, session.upstream_pids)
        report = self.load(session, contender, seconds, meter)
        contender.trim_logs()
        processes.idle_soon([*pids, *session.upstream_pids])
        return Round(
            contender=contender.name,
            rotation=rotation,
            requests=report.requests,
            seconds=report.seconds,
            errors=report.errors,
            cpu_us=meter.contender_ns / 1e3 / report.requests if report.requests else 0.0,
            cpu_busy=meter.cpu_busy,
            load_busy=meter.load_busy,
            received_bytes=report.received_bytes,
            sent_bytes=report.sent_bytes,
            latency_us=report.latency_us,
            complaint=report.complaint,
        )

    def _instructions(self, session: Session, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Instructions per request in user and kernel mode; one short round each, for the count is steady."""
        if not instructions.are_countable():
            return {}
        found: dict[str, tuple[float, float]] = {}
        for name in names:
            contender = session.contenders[name]
            if not contender.pids:
                continue
            with instructions.counted(contender.refresh()) as counted:
                report = self.load(session, contender, 0.5, Meter())
            contender.trim_logs()
            if report.requests and not report.errors:
                found[name] = (counted.user / report.requests, counted.kernel / report.requests)
        return found

    def conclude(
        self,
        rounds: Sequence[Round],
        names: Sequence[str],
        counts: Mapping[str, tuple[float, float]],
        absent: Mapping[str, str],
        agreed: Sequence[str] = (),
    ) -> Result:
        """Figures, verdicts and notes out of the rounds."""
        standings = {name: s for name in names if (s := standing(name, rounds))}
        base = standings.get(self.baseline)
        rows = [self._row(s, base, rounds, counts) for s in standings.values()]
        notes = [*agreed]
        notes += [f"{name} has no valid round: {_complaint(rounds, name)}" for name in names if name not in standings]
        notes += [
            f"{s.contender}: {s.invalid} rounds thrown away ({s.complaint})" for s in standings.values() if s.invalid
        ]
        full = [s.contender for s in standings.values() if s.is_load_bound and s.cpu_us]
        if full:
            notes.append(f"the load core was full before {', '.join(full)}: CPU per request decides there")
        waited = [s.contender for s in standings.values() if s.cpu_us and s.cpu_busy < 0.9 and s.load_busy < 0.9]
        if waited:
            notes.append(f"{', '.join(waited)} filled neither core: it waited, or others used this machine")
        verdicts = [v for goal in self.goals for v in _verdicts(goal, standings, names, absent)]
        raw = {
            "rounds": [r.as_dict() for r in rounds],
            "instructions_per_request": {name: {"user": u, "kernel": k} for name, (u, k) in counts.items()},
        }
        return Result(self.name, self.title, rows, verdicts, notes, raw)

    def _row(
        self, own: Standing, base: Standing | None, rounds: Sequence[Round], counts: Mapping[str, tuple[float, float]]
    ) -> dict[str, str]:
        cpu, base_cpu = own.cpu_us, base.cpu_us if base else None
        row = {
            "contender": own.contender,
            "requests/s": table.count(own.rate.value),
            "spread": table.spread(own.rate.spread),
            f"x {self.baseline}": table.ratio(own.rate.value / base.rate.value if base else None),
            "paired": table.ratio(paired_ratio(rounds, own.contender, self.baseline)),
            "CPU us/req": f"{cpu.value:.2f}" if cpu else "-",
            "CPU spread": table.spread(cpu.spread) if cpu else "-",
            f"CPU x {self.baseline}": table.ratio(cpu.value / base_cpu.value if cpu and base_cpu else None),
            "instr u+k": "{:,.0f}+{:,.0f}".format(*counts[own.contender]) if own.contender in counts else "-",
            "core": table.percent(own.cpu_busy) if cpu else "-",
            "load core": table.percent(own.load_busy),
        }
        if self.payload_bytes:
            row["GB/s"] = f"{own.rate.value * self.payload_bytes / 1e9:.2f}"
        return row


def negotiated(contender: Contender) -> str:
    """TLS version and cipher that ``openssl s_client`` gets when it offers what the generator offers."""
    argv = ["openssl", "s_client", "-brief", "-tls1_3", "-ciphersuites", CIPHERS]
    argv += ["-groups", "X25519", "-connect", f"127.0.0.1:{contender.tls_port}"]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10, check=False)
    said = dict(line.split(": ", 1) for line in (done.stdout + done.stderr).splitlines() if ": " in line)
    version, cipher = (said.get("Protocol version", "no TLS"), said.get("Ciphersuite", "no cipher"))
    return f"{contender.name} negotiated {version} with {cipher}"


def _verdicts(
    goal: Goal, standings: Mapping[str, Standing], names: Sequence[str], absent: Mapping[str, str]
) -> list[Verdict]:
    own, other = standings.get(goal.contender), standings.get(goal.against)
    if goal.against not in names and goal.against not in absent:
        return []  # the command line left it out
    if goal.contender not in names and goal.contender not in absent:
        return []
    found = []
    both = own is not None and other is not None
    rate = own.rate.value / other.rate.value if own and other else None
    cpu = own.cpu_us.value / other.cpu_us.value if own and other and own.cpu_us and other.cpu_us else None
    if goal.rate is not None:
        # A full load core makes the rate of who is behind it a lower bound. When that flatters (the other one is held
        # back) or is not enough to tell, CPU per request decides.
        held_back = other is not None and other.is_load_bound
        short = own is not None and own.is_load_bound and rate is not None and rate < goal.rate
        note = f"by CPU, for the load core was full; by requests/s {rate:.3g}" if cpu and (held_back or short) else ""
        judged = 1 / cpu if cpu and note else rate
        found.append(at_least(f"{goal.contender} by requests/s, of {goal.against},", judged, goal.rate, note))
    if goal.cpu is not None:
        found.append(at_most(f"{goal.contender} by CPU per request, of {goal.against},", cpu, goal.cpu))
    if goal.equal is not None and both:
        for what, value in (("requests/s", rate), ("CPU per request", cpu)):
            off = None if value is None else abs(value - 1)
            found.append(at_most(f"{goal.contender} off {goal.against}, by {what},", off, goal.equal))
    return found


def _complaint(rounds: Sequence[Round], name: str) -> str:
    return next((r.complaint for r in rounds if r.contender == name and r.complaint), "nothing was answered")
