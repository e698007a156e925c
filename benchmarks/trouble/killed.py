"""A random worker is killed each second under load: ``python -m benchmarks killed-workers``.

Requests come at a constant rate over kept connections, each answered with the worker's pid, and beside them requests
that open a connection each. Shown: which exchanges failed and with whom; how soon a successor served; and what is left
in shared memory and with the supervisor when all is over.
"""

import argparse
import errno
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.load import programs
from benchmarks.load.report import Report
from benchmarks.trouble.gateway import Running, gateway, quantile
from benchmarks.trouble.requests import calm, come_first, load
from benchmarks.trouble.victims import Blamed, Kill, Victims, attribute, region_of
from tidegate.memory.bells import ROWS
from tidegate.memory.marks import MarkReader
from tidegate.memory.meters import GAUGES
from tidegate.memory.region import JOURNALS, Region, read_meters

CONFIGURATION = """
[filters.worker]
class = "benchmarks.filters:NamesWorker"
[[routes]]
name = "pid"
filters = ["worker"]
respond = {}
"""
EACH_S = 1.0
FRESH_SHARE = 0.05  # of the rate, on connections of their own
READY_GOAL_S = 0.5
REST_S = 3.0  # gauges that hold the worst of two seconds need as long; on a busy machine longer
REST_AT_MOST_S = 30.0
LOOKS = 20  # a worker at rest is in a callback for a moment now and then
PEAKS = {"loop_lag_ns", "loop_lag_max_ns", "loop_lag_recent_ns", "gc_pause_max_ns"}  # never at rest


class Left(NamedTuple):
    """What the gateway holds while nobody asks for anything."""

    descriptors: int  # of the supervisor
    private_kb: int  # of the supervisor
    shared_kb: int  # taken of the region, but for the flight recorder's journals, which fill
    held: dict[str, int]  # gauges that are not zero
    waiting: int  # slots marked as waiting for a bell
    busy: int  # slots marked as in a callback, at every look
    permits: int  # rows of permits that somebody has


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks killed-workers", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--rate", type=float, default=5_000, help="requests per second (5,000)")
    options = parser.parse_args(argv)
    come_first()
    server = 'workers = 2\nfilter_packages = ["benchmarks"]'
    with tempfile.TemporaryDirectory() as name, gateway(CONFIGURATION, server=server, before=calm()) as running:
        folder = Path(name)
        loads(folder, running, options.rate, min(2.0, options.seconds))  # what a first request makes is there
        time.sleep(REST_S)
        region = region_of(running)
        before = left(running, region)
        with Victims(running, lambda victims: kill_each_second(victims, options.seconds)) as victims:
            reports = loads(folder, running, options.rate, options.seconds)
        victims.wait_until_all_serve()
        time.sleep(REST_S)
        end_s = time.monotonic() + REST_AT_MOST_S
        after = left(running, region)
        while after.held and time.monotonic() < end_s:
            after = left(running, region)
        region.close()
        blamed = {kind: attribute(folder / kind, victims.kills) for kind in reports}
    return conclude(options.seconds, reports=reports, blamed=blamed, kills=victims.kills, before=before, after=after)


def kill_each_second(victims: Victims, seconds: float) -> None:
    """One a second; later when no successor served by then."""
    due_s = time.monotonic()
    end_s = due_s + seconds
    while due_s < end_s:
        time.sleep(max(0.0, due_s - time.monotonic()))
        victims.kill()
        due_s = max(due_s + EACH_S, time.monotonic())


def loads(folder: Path, running: Running, rate: float, seconds: float) -> dict[str, Report]:
    """Requests over kept connections, and beside them on new ones; every exchange is in a file of that name."""
    reports: dict[str, Report] = {}

    def make(kind: str, share: float) -> None:
        is_fresh = kind == "fresh"
        reports[kind] = load(
            folder, running, folder / kind, rate=rate * share, seconds=seconds, path="/pid", is_fresh=is_fresh
        )

    programs.build("paced", folder)
    threads = [threading.Thread(target=make, args=one) for one in (("kept", 1 - FRESH_SHARE), ("fresh", FRESH_SHARE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(reports) < len(threads):
        raise RuntimeError("a load generator failed; its reason stands above")
    return reports


# -- what is left ------------------------------------------------------------------------------------------------------


def left(running: Running, region: Region) -> Left:
    """What the gateway holds now."""
    supervisor = psutil.Process(running.process.pid)
    sections = region.mapping.layout.sections
    counters = read_meters(region).counters
    bells = region.bells()
    marks = MarkReader(region.mapping)
    looks = []
    for _ in range(LOOKS):
        looks.append({slot for slot in range(region.slots) if marks.read(slot).since_ns})
        time.sleep(0.01)
    return Left(
        descriptors=supervisor.num_fds(),
        private_kb=supervisor.memory_full_info().uss // 1024,
        shared_kb=sum(taken(region, name) for name in sections if name not in JOURNALS) // 1024,
        held={name: counters[name] for name in sorted(GAUGES - PEAKS) if counters[name]},
        waiting=sum(len(bells.waiting(row)) for row in range(ROWS)),
        busy=len(set.intersection(*looks)),
        permits=region.inflight().rows_that_count() if sections["inflight"].size else 0,
    )


def taken(region: Region, name: str) -> int:
    """Bytes of a section that the kernel has given memory for."""
    section = region.mapping.layout.sections[name]
    at, end, found = section.offset, section.offset + section.size, 0
    while at < end:
        try:
            begin = min(os.lseek(region.fd, at, os.SEEK_DATA), end)
            at = min(os.lseek(region.fd, begin, os.SEEK_HOLE), end) if begin < end else end
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # nothing behind
        found += at - begin
    return found


# -- what is said ------------------------------------------------------------------------------------------------------


def conclude(
    seconds: float,
    *,
    reports: dict[str, Report],
    blamed: dict[str, Blamed],
    kills: Sequence[Kill],
    before: Left,
    after: Left,
) -> int:
    """Prints the tables; 1 when a goal is missed."""
    rows = [
        {
            "requests on": {"kept": "kept connections", "fresh": "a new connection each"}[kind],
            "per second": f"{report.rate:,.0f}",
            "answered": f"{report.requests:,}",
            "failed with the killed": str(len(blamed[kind].with_the_killed)),
            "failed in its hands": str(len(blamed[kind].in_its_hands)),
            "else": str(len(blamed[kind].others)),
            "p99 ms": f"{report.latency_us['p99'] / 1e3:.1f}",
            "max ms": f"{report.latency_us['max'] / 1e3:.0f}",
        }
        for kind, report in reports.items()
    ]
    print(table.render(rows))
    took = [kill.replaced_s for kill in kills]
    print("a successor served after, s: " + " ".join(f"{one:.3f}" for one in took))
    print(f"p50 {quantile(took, 0.5):.3f} s, p90 {quantile(took, 0.9):.3f} s")
    print(
        f"before and after: supervisor {before.descriptors} and {after.descriptors} descriptors, {before.private_kb} "
        f"and {after.private_kb} KB of its own; shared memory without the recorder's {before.shared_kb} and "
        f"{after.shared_kb} KB"
    )
    others = [exchange for one in blamed.values() for exchange in one.others]
    never = sum("never answered" in report.complaint for report in reports.values())
    return exit_code(
        [
            at_least("workers killed", len(kills), seconds / EACH_S * 0.9),
            at_most("requests that failed and were not with a killed worker", len(others), 0, str(others[:1] or "")),
            at_most("loads with requests that were never answered", never, 0),
            at_most("longest until a successor served, s,", max(took, default=None), READY_GOAL_S),
            at_most("gauges that are not zero at rest", len(after.held), 0, str(after.held or "")),
            at_most("slots still marked: waiting for a bell, or in a callback,", after.waiting + after.busy, 0),
            at_most("rows of permits in use at rest", after.permits, 0),
            at_most("descriptors that the supervisor has more than before", after.descriptors - before.descriptors, 0),
            at_most("KB that the supervisor has more than before", after.private_kb - before.private_kb, 1024),
            at_most("KB of shared memory taken more than before", after.shared_kb - before.shared_kb, 256),
        ]
    )
