"""What latency and tail share: the rate a contender can take, and one open-loop run at a part of it."""

from benchmarks import processes
from benchmarks.contenders import Contender
from benchmarks.ground import Session
from benchmarks.load import own, programs
from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.scenarios.loads import by_own

CONNECTIONS = 64


def maximum_rate(session: Session, contender: Contender) -> float:
    """Requests per second in a closed loop on small responses: the best of five short runs."""
    load = by_own("/small", CONNECTIONS)
    rates = []
    for _ in range(5):
        report = load(session, contender, 0.6, Meter())
        if report.errors:
            raise RuntimeError(f"{contender.name}: {report.complaint}")
        rates.append(report.rate)
        contender.trim_logs()
    return max(rates)


def paced(session: Session, contender: Contender, rate: float, seconds: float, meter: Meter | None = None) -> Report:
    """Small requests at ``rate`` per second on keep-alive connections, due at Poisson times."""
    program = programs.build("paced", session.ground.programs)
    pids = contender.refresh()
    processes.pin(pids, processes.CONTENDER_CORE)
    options = ["--port", str(contender.port), "--rate", f"{rate:.0f}", "--connections", str(CONNECTIONS)]
    report = own.run(program, options, seconds, meter)
    contender.trim_logs()
    processes.idle_soon([*pids, *session.upstream_pids])
    return report
