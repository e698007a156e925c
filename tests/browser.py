"""A real Chromium without a window, told what to do over its own protocol (Chrome DevTools Protocol 1.3)."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

FAR_S = 120.0
EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium here (./dev test installs one as root)")


class Page:
    """One tab.

    Attributes:
        complaints: What the browser had to say: exceptions of scripts, errors of loading, and its own warnings.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a command of the protocol; what is reported meanwhile is kept as complaints."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := self._next()).get("id") != number:
            pass
        assert "error" not in message, (method, message["error"])
        return message["result"]

    def _next(self) -> dict[str, Any]:
        message = json.loads(self._connection.recv(timeout=FAR_S))
        if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(message["params"]))
        return message

    def open(self, path: Path, width: int = 1300, height: int = 900) -> None:
        """Shows a file in a window of this many pixels, and waits until it is loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=path.as_uri())
        while self.script("document.readyState + location.protocol") != "completefile:":
            pass

    def script(self, expression: str) -> Any:
        """What an expression of JavaScript comes to, as JSON."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Presses and releases the left button at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A browser that keeps what it writes below ``profile``, with one tab; ended by its own process at the end."""
    assert EXECUTABLE is not None
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    command = [EXECUTABLE, *arguments, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            host, path = _listens_at(profile / "DevToolsActivePort", child)
            with connect(f"ws://{host}{path}", open_timeout=FAR_S, proxy=None) as whole:
                whole.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
                targets = json.loads(whole.recv(timeout=FAR_S))["result"]["targetInfos"]
            tab = next(one["targetId"] for one in targets if one["type"] == "page")
            with connect(f"ws://{host}/devtools/page/{tab}", open_timeout=FAR_S, max_size=None, proxy=None) as one:
                yield Page(one)
        finally:
            child.terminate()


def _listens_at(written: Path, child: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Host with port, and path, once the browser has written them."""
    end = time.monotonic() + FAR_S
    while not (written.exists() and len(lines := written.read_text().splitlines()) == 2):
        assert child.poll() is None, f"the browser ended with {child.returncode}"
        assert time.monotonic() < end, f"no browser listens after {FAR_S:g} s"
        time.sleep(0.02)
    return f"127.0.0.1:{lines[0]}", lines[1]
