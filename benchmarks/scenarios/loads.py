"""The closed-loop loads that scenarios are made of."""

from collections.abc import Mapping

from benchmarks.contenders import Contender
from benchmarks.ground import Session
from benchmarks.load import own, programs, wrk
from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.scenarios.throughput import Load


def by_wrk(path: str, connections: int) -> Load:
    """Wrk on so many keep-alive connections; by itself it uses a fifth more of the load core than ``by_own``."""

    def load(session: Session, contender: Contender, seconds: float, meter: Meter) -> Report:
        del session
        return wrk.run(contender.url(path), connections, seconds, meter)

    return load


def by_own(
    path: str,
    connections: int,
    *,
    tls: bool = False,
    reconnect: bool = False,
    upload: int = 0,
    payload: int = 0,
    key: str = "",
) -> Load:
    """Our own closed loop: ``reconnect`` opens a connection for each exchange, ``payload`` counts by bytes moved.

    ``key`` goes with each request as ``X-API-Key``.
    """
    options = ["--path", path, "--connections", str(connections)]
    options += ["--tls"] if tls else []
    options += ["--reconnect"] if reconnect else []
    options += ["--upload", str(upload)] if upload else []
    options += ["--key", key] if key else []

    def load(session: Session, contender: Contender, seconds: float, meter: Meter) -> Report:
        program = programs.build("closed", session.ground.programs)
        port = contender.tls_port if tls else contender.port
        return own.run(program, ["--port", str(port), *options], seconds, meter, payload)

    return load


def by_own_at(paths: Mapping[str, str], path: str, connections: int, *, key: str = "") -> Load:
    """The same, where some contenders are asked for another path than the rest."""
    loads = {one: by_own(one, connections, key=key) for one in {path, *paths.values()}}

    def load(session: Session, contender: Contender, seconds: float, meter: Meter) -> Report:
        return loads[paths.get(contender.name, path)](session, contender, seconds, meter)

    return load
