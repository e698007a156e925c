"""``tidegate bench``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.process.failure import EXIT_FAILED, EXIT_USAGE, StartError

if TYPE_CHECKING:
    from tidegate.bench.fleet import Fleet
    from tidegate.bench.order import Order
    from tidegate.bench.plan import Plan
    from tidegate.bench.recipe import Request

__all__ = ["bench"]


def bench(
    target: Annotated[
        list[str] | None,
        typer.Argument(help="http://HOST:PORT/PATH, or https, ws, wss; files with --merge.", metavar="URL | FILE..."),
    ] = None,
    *,
    rate: Annotated[
        str | None, typer.Option("--rate", "-R", help="Requests per second. No rate: as fast as answers come.")
    ] = None,
    ramp: Annotated[str | None, typer.Option(help="A rate that changes evenly, FROM:TO.")] = None,
    steps: Annotated[str | None, typer.Option(help="Rates one after the other, for as long each: 100,200,400.")] = None,
    poisson: Annotated[
        bool, typer.Option("--poisson", help="Arrivals of a Poisson process instead of even ones.")
    ] = False,
    duration: Annotated[str, typer.Option("--duration", "-d", help="How long requests are sent and counted.")] = "10s",
    warm_up: Annotated[str, typer.Option(help="How long they are sent before they are counted.")] = "0s",
    connections: Annotated[int, typer.Option("--connections", "-c", help="Requests at once.", min=1, max=100_000)] = 64,
    processes: Annotated[int, typer.Option("--processes", "-p", help="Processes that send.", min=1, max=256)] = 1,
    timeout: Annotated[str, typer.Option(help="From when a request is due until it counts as failed.")] = "10s",
    fresh: Annotated[bool, typer.Option("--fresh", help="A connection for each request.")] = False,
    method: Annotated[str | None, typer.Option("--method", "-X", help="GET unless there is a body.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="Name: value; may be repeated.")] = None,
    body: Annotated[str | None, typer.Option("--body", help="The body, or @FILE; of a WebSocket: the message.")] = None,
    requests: Annotated[Path | None, typer.Option(help="Requests from a file, a line each.")] = None,
    script: Annotated[Path | None, typer.Option(help="Requests that the function requests(random) yields.")] = None,
    keys: Annotated[str | None, typer.Option(help="Replaces {key}: uniform:N, sequence:N or zipf:N:EXPONENT.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn by lot.", min=0, max=2**31)] = 1,
    insecure: Annotated[bool, typer.Option("--insecure", "-k", help="Believe any certificate.")] = False,
    ca: Annotated[Path | None, typer.Option(help="Believe certificates of these authorities (PEM).")] = None,
    unix_socket: Annotated[Path | None, typer.Option(help="Connect to this socket instead.")] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Join the JSON of parts of one load, instead of sending one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with the latency curve and the time series.")
    ] = None,
    hgrm: Annotated[Path | None, typer.Option(help="Write the latencies in HdrHistogram's text form.")] = None,
) -> None:
    """Load a server at a rate that does not depend on it, and say how long its clients waited."""
    from tidegate.bench.document import merged

    if merge:
        if not target:
            raise StartError("--merge wants the files to join: the JSON of parts of one load", EXIT_USAGE)
        try:
            document = merged([Path(file) for file in target])
        except (OSError, ValueError) as error:
            raise StartError(str(error)) from error
        _tell(document, as_json=as_json, report=report, hgrm=hgrm)
        return
    if not target or len(target) > 1:
        raise StartError(f"one URL to load, such as http://127.0.0.1:8080/hello; got {len(target or ())}", EXIT_USAGE)
    try:
        from tidegate.bench.plan import Plan, arrivals, parse_url
        from tidegate.config.values import parse_duration

        seconds, warm_up_s = parse_duration(duration), parse_duration(warm_up)
        url = parse_url(target[0], None if unix_socket is None else str(unix_socket.absolute()))
        plan = Plan(
            target=url,
            requests=_requests(
                url.path,
                method=method,
                headers=header,
                body=body,
                file=requests,
                script=script,
                random=Random(seed),
                is_message=url.is_websocket,
            ),
            seconds=seconds,
            warm_up_s=warm_up_s,
            stretches=arrivals(seconds, warm_up_s, rate=rate, ramp=ramp, steps=steps),
            is_poisson=poisson,
            connections=connections,
            processes=processes,
            patience_s=parse_duration(timeout),
            is_fresh=fresh,
            is_verified=not insecure,
            ca=None if ca is None else str(ca.absolute()),
            keys=keys,
            seed=seed,
        )
        orders = plan.orders()  # what is wrong with it is said before anybody is asked
    except (ValueError, UnicodeError) as error:
        raise StartError(str(error), EXIT_USAGE) from error
    except OSError as error:
        raise StartError(f"{error.filename} cannot be read: {error.strerror}") from error
    _tell(_run(plan, orders), as_json=as_json, report=report, hgrm=hgrm)


def _requests(
    path: str,
    *,
    method: str | None,
    headers: list[str] | None,
    body: str | None,
    file: Path | None,
    script: Path | None,
    random: Random,
    is_message: bool,
) -> list[Request]:
    from dataclasses import replace

    from tidegate.bench.recipe import Request, from_file, from_script

    fields: dict[str, str] = {}
    for text in headers or ():
        name, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f'a header is written "Name: value", got {text!r}')
        fields[name.strip()] = value.strip()
    content = b"tide" if body is None and is_message else (body or "").encode()
    if body is not None and body.startswith("@"):
        content = Path(body[1:]).read_bytes()
    given = (file is not None) + (script is not None) + (body is not None or method is not None)
    if given > 1:
        raise ValueError("requests come from a file, from a script, or from --method and --body: only one of them")
    if file is not None:
        found = from_file(file)
    elif script is not None:
        found = from_script(script, 65_536, random)
    else:
        return [Request(method or ("POST" if content and not is_message else "GET"), path, fields, content)]
    return [replace(one, headers={**fields, **one.headers}) for one in found]


def _run(plan: Plan, orders: list[Order]) -> dict[str, Any]:
    """Sends; Ctrl-C ends it, and what there is by then is told."""
    import os
    import sys
    import time

    from tidegate.bench.document import document_of
    from tidegate.bench.fleet import Fleet
    from tidegate.bench.measured import merge
    from tidegate.bench.plan import directed, resolve
    from tidegate.bench.progress import Progress

    try:
        address = resolve(plan.target)
    except OSError as error:
        raise StartError(f"{plan.target} cannot be reached: {error.strerror or error}") from error
    progress = Progress(sys.stderr, plan.processes, is_dumb=os.environ.get("TERM", "dumb") == "dumb")
    try:
        with Fleet(directed(orders, address)) as fleet:
            usable, trouble = fleet.ready()
            began_unix_s = time.time()
            fleet.go()
            with _stopped_by_ctrl_c(fleet):
                found = fleet.results(progress.tell)
            failures = fleet.failures
    except KeyboardInterrupt:
        raise StartError("stopped before there was anything to tell") from None
    finally:
        progress.clear()
    for failure in failures:
        print(f"tidegate: {failure}", file=sys.stderr)
    if not found:
        raise StartError("no process of the load came to its end")
    document = document_of(merge(found), plan.described(), began_unix_s=began_unix_s)
    if trouble is not None:
        kind, words = trouble
        document["notes"].append(f"{usable:,} of {plan.connections:,} connections could be opened: {kind} ({words}).")
    if failures:
        document["notes"].append(f"{len(failures)} of {plan.processes} processes came to no end: {failures[0]}")
    return document


@contextmanager
def _stopped_by_ctrl_c(fleet: Fleet) -> Iterator[None]:
    """The first Ctrl-C ends the load, and what there is comes in as if it had ended; a second one ends this as well.

    A handler instead of KeyboardInterrupt, which could come between reading a line and keeping it.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        fleet.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(document: dict[str, Any], *, as_json: bool, report: Path | None, hgrm: Path | None) -> None:
    """Prints and writes; exit code 1 when nothing was answered or it did not come to its end."""
    import json

    import msgspec

    from tidegate.bench import hgrm as text_form
    from tidegate.bench.document import served_latency
    from tidegate.bench.measured import Measured
    from tidegate.bench.table import show

    if as_json:
        print(json.dumps(document, indent=1))
    else:
        show(document)
    measured = msgspec.convert(document["measured"], Measured)
    if hgrm is not None:
        _write(hgrm, text_form.hgrm(served_latency(measured)))
    if report is not None:
        from tidegate.bench.page import page

        _write(report, page(document))
    if document["is_stopped"] or document["requests"]["answered"] == 0:
        raise typer.Exit(EXIT_FAILED)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror or error}") from error
