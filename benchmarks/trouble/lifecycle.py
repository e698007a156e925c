"""Reloads and upgrades under a constant load, or workers in trouble: ``python -m benchmarks lifecycle``.

Requests come at a constant rate (open loop, each counted from when it was due) and are proxied to a server in C;
WebSockets send each second. After a while without any change the file is changed and reloaded again and again, and in
between this same program takes over from itself: `tidegate upgrade`. Shown: what failed, which WebSockets were closed
before the drain of their generation was over, and latency while a reload was under way against that without.

``--trouble MINUTES``: 64 WebSockets and a tenth of the rate instead, while workers are stopped for a moment, stopped
until they are steered around, and killed. Nobody may notice but those whose worker was killed.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.load import programs
from benchmarks.load.exchanges import Latencies
from benchmarks.load.websockets import Ending, WebSockets
from benchmarks.trouble.behind import CONFIGURATION, servers
from benchmarks.trouble.changes import Changes, done_by, rows, windows
from benchmarks.trouble.gateway import Event, gateway
from benchmarks.trouble.requests import calm, come_first, load, told
from benchmarks.trouble.victims import Kill, Victims, attribute

RELOAD_EACH_S = 0.8
UPGRADE_S = 4.0  # what one may take, when planning how long the load has to last
EARLY_S = 0.1  # a drain's deadline is set a moment before it is logged
TROUBLE_SOCKETS = 64


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    options = arguments(argv)
    come_first()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as ports:
        programs.build("paced", Path(name))  # before anything is measured
        if options.trouble:
            return in_trouble(options, Path(name), ports)
        return with_changes(options, Path(name), ports)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lifecycle", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=10_000, help="requests per second (10,000)")
    parser.add_argument("--reloads", type=int, default=100, help="how many (100)")
    parser.add_argument("--upgrades", type=int, default=3, help="how many, spread over the reloads (3)")
    parser.add_argument("--websockets", type=int, default=200, help="that send each second (200)")
    parser.add_argument("--steady", type=float, default=15.0, help="seconds before the first reload (15)")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds that a generation may drain (10)")
    parser.add_argument(
        "--trouble", type=float, nargs="?", const=10.0, metavar="MINUTES", help="workers in trouble (10)"
    )
    return parser.parse_args(argv)


# -- reloads and upgrades ----------------------------------------------------------------------------------------------


def with_changes(options: argparse.Namespace, folder: Path, ports: dict[str, int]) -> int:
    """A hundred reloads and three upgrades."""
    server = f'workers = 2\nfilter_packages = ["benchmarks"]\nupgrade_drain_timeout = "{options.drain:g}s"'
    seconds = options.steady + options.reloads * RELOAD_EACH_S + options.upgrades * UPGRADE_S + options.drain
    text = CONFIGURATION.format(**ports, timeout=int(seconds) + 60)
    raw = folder / "raw"
    with (
        gateway(text, server=server, before=calm()) as running,
        WebSockets(running.public[1], options.websockets) as clients,
        Changes(
            running,
            reloads=options.reloads,
            upgrades=options.upgrades,
            steady_s=options.steady,
            each_s=RELOAD_EACH_S,
        ) as changes,
    ):
        report = load(folder, running, raw, rate=options.rate, seconds=seconds)
        end_ns = time.monotonic_ns()
    latencies = Latencies(raw, windows(changes.done))
    print(table.render(rows(latencies, changes.done)))
    print(told(report, options.rate))
    print(
        f"{options.websockets} WebSockets: {clients.echoes} echoes, slowest {clients.slowest_s * 1e3:.0f} ms, "
        f"{len(clients.endings)} closed by the gateway; {report.extra['lost_idle']} idle connections closed"
    )
    switches = [event for event in running.events if event.kind == "upgrade_switched"]
    early = closed_early(clients.endings, switches, options.drain)
    steady, reloading = (latencies.quantile_ms(name, 0.99) for name in ("steady", "reload"))
    return exit_code(
        [
            at_least("reloads while the load lasted", done_by(changes.done, "reload", end_ns), options.reloads),
            at_least("upgrades while the load lasted", done_by(changes.done, "upgrade", end_ns), options.upgrades),
            at_most("failed requests", report.errors, 0, report.complaint),
            at_most("WebSockets closed before their drain's deadline", len(early), 0, early[0].why if early else ""),
            at_most("WebSockets that could not be opened", len(clients.refused), 0, str(clients.refused[:1] or "")),
            at_most(
                "p99 while reloading, of the steady one,", reloading / steady if steady and reloading else None, 2.0
            ),
        ]
    )


def closed_early(endings: Sequence[Ending], switches: Sequence[Event], drain_s: float) -> list[Ending]:
    """WebSockets that were closed although the drain of their generation was not over."""
    early = []
    for ending in endings:
        switch = next((event for event in switches if event.at_s >= ending.opened_s), None)
        if switch is None or ending.at_s < switch.at_s + drain_s - EARLY_S:
            early.append(ending)
    return early


# -- workers in trouble ------------------------------------------------------------------------------------------------


def in_trouble(options: argparse.Namespace, folder: Path, ports: dict[str, int]) -> int:
    """Stops and kills under WebSockets and requests."""
    seconds = options.trouble * 60
    server = 'workers = 3\nfilter_packages = ["benchmarks"]'
    text = CONFIGURATION.format(**ports, timeout=int(seconds) + 60)
    raw = folder / "raw"
    with (
        gateway(text, server=server, before=calm()) as running,
        WebSockets(running.public[1], TROUBLE_SOCKETS) as clients,
        Victims(running, lambda victims: harass(victims, seconds)) as victims,
    ):
        report = load(folder, running, raw, rate=options.rate / 10, seconds=seconds, path="/pid")
    blamed = attribute(raw, victims.kills)
    innocent = [one for one in clients.endings if not is_of_the_killed(one, victims.kills)]
    refused = [one for one in clients.refused if not is_of_the_killed(one, victims.kills)]
    kinds = [event.kind for event in running.events]
    figures = [
        {"workers": "stopped for 0.3 or 2.5 s", "times": str(victims.stops)},
        {"workers": "steered around", "times": str(kinds.count("steered_out"))},
        {"workers": "steered to again", "times": str(kinds.count("steered_back"))},
        {"workers": "killed", "times": str(len(victims.kills))},
    ]
    print(table.render(figures))
    print(told(report, options.rate / 10))
    with_theirs = len(blamed.with_the_killed) + len(blamed.in_its_hands)
    print(
        f"{TROUBLE_SOCKETS} WebSockets: {clients.echoes} echoes, {len(clients.endings) - len(innocent)} ended with "
        f"their worker; {report.requests} requests answered, {with_theirs} failed with theirs"
    )
    return exit_code(
        [
            at_least("kills and stops", len(victims.kills) + victims.stops, max(1, int(seconds / 10))),
            at_most("WebSockets of workers that were not killed, closed", len(innocent), 0, str(innocent[:1] or "")),
            at_most("WebSockets that could not be opened with nobody killed", len(refused), 0, str(refused[:1] or "")),
            at_most("requests that failed with nobody killed", len(blamed.others), 0, str(blamed.others[:1] or "")),
        ]
    )


def harass(victims: Victims, seconds: float) -> None:
    """One trouble after the other, each with one worker, for so long."""
    end_s = time.monotonic() + seconds
    chance = random.Random(3)  # the same each time
    while time.monotonic() < end_s:
        kind = chance.choice(["moment", "long", "kill"])
        if kind == "kill":
            victims.kill()
        else:
            victims.stop(0.3 if kind == "moment" else 2.5)  # stall_out is a second
        time.sleep(chance.uniform(0.5, 1.5))


def is_of_the_killed(ending: Ending, kills: Sequence[Kill]) -> bool:
    """Whether a WebSocket ended with its worker, or with one that may just have accepted it."""
    if ending.worker:
        return any(kill.pid == ending.worker and ending.at_s >= kill.at_s for kill in kills)
    return any(ending.opened_s <= kill.at_s + 0.1 and kill.at_s <= ending.at_s for kill in kills)
