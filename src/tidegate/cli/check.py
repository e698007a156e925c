"""``tidegate check FILE``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tidegate.config.schema import Gateway
from tidegate.process.failure import EXIT_INVALID

__all__ = ["check"]


def check(
    file: Annotated[Path | None, typer.Argument(help="The configuration to look at.")] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the format instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--explain", metavar="METHOD URL", help="Say which route, key and limits such a request would meet."
        ),
    ] = None,
    fields: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A field of that request.")
    ] = None,
    client: Annotated[str, typer.Option("--client", metavar="IP", help="Where that request comes from.")] = "192.0.2.1",
) -> None:
    """Say all that is wrong with a configuration at once; exit code 3 if anything is."""
    if schema:
        from tidegate.config.json_schema import json_schema

        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if file is None:
        raise typer.BadParameter("name the file to check, or ask for the --schema")
    from tidegate.config.check import check as find
    from tidegate.config.findings import render

    snapshot, findings = find(file)
    if findings or (as_json and explain is None):
        print(render(findings, as_json=as_json))
    if snapshot is None:
        raise typer.Exit(EXIT_INVALID)
    if explain is not None:
        _explain(snapshot.gateway, *explain, fields or [], client, as_json=as_json)
    elif not as_json:
        gateway = snapshot.gateway
        counts = [(len(gateway.listeners), "listener"), (len(gateway.upstreams), "upstream")]
        counts.append((len(gateway.routes), "route"))
        described = ", ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts)
        print(f"{file}: valid ({described}; etag {snapshot.etag})")


def _explain(gateway: Gateway, method: str, url: str, fields: list[str], client: str, *, as_json: bool) -> None:
    from tidegate.cli.explain import explain

    pairs = [(name.strip(), value.strip()) for name, _, value in (one.partition(":") for one in fields)]
    try:
        found = explain(gateway, method, url, pairs, client)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    print(json.dumps(found.as_dict(), indent=2, ensure_ascii=False) if as_json else found)
