"""``tidegate quickstart``: a gateway in front of a bundled demo server, nothing to configure."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tidegate.process.failure import EXIT_INVALID

__all__ = ["BUNDLED", "how_to_reach", "quickstart"]

BUNDLED = Path(__file__).with_name("quickstart.toml")
"""The configuration it runs with; `examples/quickstart.toml` is the same file."""

_PORT, _ADMIN_PORT, _UPSTREAM_PORT = 8080, 9900, 9901


def quickstart(
    file: Annotated[
        Path | None, typer.Argument(help="A configuration of your own; the demo server is its upstream.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Where the gateway listens.", min=1, max=65535)] = _PORT,
    admin_port: Annotated[
        int, typer.Option("--admin-port", help="Where the admin API answers.", min=1, max=65535)
    ] = _ADMIN_PORT,
    upstream_port: Annotated[
        int, typer.Option("--upstream-port", help="Where the demo server listens.", min=1, max=65535)
    ] = _UPSTREAM_PORT,
) -> None:
    """Run a gateway in front of a bundled demo server, and say what to try."""
    from tidegate.cli.launch import launch
    from tidegate.config.check import check_text
    from tidegate.config.findings import render
    from tidegate.process.listeners import ListenerGroup
    from tidegate.process.messages import Companion

    chosen = file or BUNDLED
    text = _read(chosen)
    for usual, asked in ((_PORT, port), (_ADMIN_PORT, admin_port), (_UPSTREAM_PORT, upstream_port)):
        text = text.replace(f'"127.0.0.1:{usual}"', f'"127.0.0.1:{asked}"')
    is_yaml = chosen.suffix in (".yaml", ".yml")
    snapshot, findings = check_text(text, file=str(chosen), directory=chosen.parent, is_yaml=is_yaml)
    if findings:
        print(render(findings), file=sys.stderr)
    if snapshot is None:
        raise typer.Exit(EXIT_INVALID)
    demo_address = f"127.0.0.1:{upstream_port}"
    demo = ListenerGroup.open(_DemoListener(demo_address), 1, is_exclusive=True)
    argv = [sys.executable, "-P", "-m", "tidegate.cli.demo_upstream", str(demo.fd(0))]
    upstreams = snapshot.gateway.upstreams.values()
    is_used = any(endpoint.address == demo_address for upstream in upstreams for endpoint in upstream.endpoints)
    note = f"  note: the demo server listens on {demo_address}, and no upstream of this file leads there"
    first = snapshot.gateway.listeners[0]
    options, url = how_to_reach(first.bind, is_tls=first.tls is not None)
    launch(
        snapshot,
        companions=[Companion(name="demo upstream", argv=argv, fds=[demo.fd(0)])],
        greeting=[
            "",
            f"  configuration: {chosen}",
            *([] if is_used else [note]),
            "  try:",
            f"    curl {options}-i {url}/hello",
            f"    curl {options}-N {url}/events",
            f"    curl {options}-d tide {url}/echo",
            "",
            "  Ctrl-C stops it.",
            "",
        ],
    )


def how_to_reach(bind: str, *, is_tls: bool) -> tuple[str, str]:
    """Options for curl, each with a space behind it, and the URL of a listener."""
    scheme = "https" if is_tls else "http"
    if bind.startswith("unix:"):
        return f"--unix-socket {bind.removeprefix('unix:')} ", f"{scheme}://localhost"
    here = bind.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
    return "", f"{scheme}://{here}"


class _DemoListener:
    """How the demo server listens: on this machine only."""

    backlog = 512
    mode = 0o600
    owner = None

    def __init__(self, bind: str) -> None:
        self.bind = bind


def _read(path: Path) -> str:
    from tidegate.process.failure import StartError

    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StartError(f"{path} cannot be read: {reason}", EXIT_INVALID) from error
