"""``tidegate status``."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.reach import PidOption, reach

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["status"]

_KEYS_SHOWN = 3


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is known, as JSON.")] = False,
    pid: PidOption = None,
) -> None:
    """Show how the running gateway is."""
    document = reach(pid).get("/status")
    if as_json:
        print(json.dumps(document, indent=2))
        return
    _show(document)


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    # As wide as it has to be: a terminal folds a line, and a table cut to fit hides figures.
    console = Console(highlight=False, width=1000)
    snapshot = document["snapshot"]
    console.print(
        f"pid {document['pid']}, {document['state']}, up {_duration(document['uptime_s'])}, "
        f"generation {document['generation']}, "
        f"configuration {snapshot['number']} ({snapshot['etag'][:12]}), saturation {document['saturation']:.2f}",
        soft_wrap=True,
    )
    workers = Table(
        "worker", "pid", "state", "heartbeat", "saturation", "connections", "exchanges", "restarts", box=None
    )
    for one in document["workers"]:
        workers.add_row(
            str(one["index"]),
            str(one["pid"]),
            _state(one),
            f"{one['heartbeat_age_s'] * 1000:.0f} ms",
            f"{one['saturation']:.2f}",
            str(one["connections"]),
            f"{one['exchanges']} of {one['exchanges_total']}",
            f"{one['restarts']} ({one['last_death']})" if one["restarts"] else "0",
        )
    console.print(workers)
    if document["upstreams"]:
        upstreams = Table("upstream", "endpoints", "balance", "exchanges", box=None)
        for one in document["upstreams"]:
            addresses = ", ".join(endpoint["address"] for endpoint in one["endpoints"])
            upstreams.add_row(one["name"], addresses, one["balance"], str(one["exchanges_total"]))
        console.print(upstreams)
    for kind in ("limit", "route"):
        _show_hitters(console, kind, document["heavy_hitters"])


def _show_hitters(console: "Console", kind: str, document: dict[str, Any]) -> None:
    """The keys that had most in the last ten minutes."""
    from rich.table import Table
    from rich.text import Text

    table = Table(kind, "key", "requests", "refused", "upstream seconds", "bytes", "(in ten minutes)", box=None)
    for name, windows in document[f"{kind}s"].items():
        for one in windows["10min"]["keys"][:_KEYS_SHOWN]:
            figures = (f"{one[figure]:,}" for figure in ("requests", "refusals", "upstream_seconds", "bytes"))
            table.add_row(name, Text(one["key"]), *figures)
    if table.row_count:
        console.print(table)


def _state(worker: dict[str, Any]) -> str:
    """What it does; of a generation that was followed by another, which one and for how long still."""
    if worker["drains_for_s"] is None:
        state: str = worker["state"]
        return state
    return f"{worker['state']} (generation {worker['generation']}, {worker['drains_for_s']:.0f} s left)"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    told = [f"{count}{unit}" for count, unit in parts if count]
    return " ".join(told[:2]) or "0s"
