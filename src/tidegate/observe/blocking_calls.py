"""Development mode: calls that block, by name, when somebody's code makes them on the event loop.

Whoever waits in such a call lets every client of the worker wait. What the interpreter announces (`sys.addaudithook`)
is heard; sockets, which announce that they connect but not that they wait for an answer, are wrapped, and so is sleep.
All of it only looks when the thread has a running loop. Each place is said once. Loaded in development mode only:
neither can be undone.

What C code does by itself (a driver with sockets of its own, a query of SQLite on an open connection) announces
nothing; the stall watch measures it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ipaddress
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from tidegate.observe.log_writer import Say
from tidegate.observe.stalls import StallBook

__all__ = ["BlockingCalls"]

_IN_A_THREAD = "await asyncio.to_thread(…)"
_ADVICE = {
    "time.sleep": "await asyncio.sleep(…)",
    "socket.connect": "an asynchronous client",
    "socket.getaddrinfo": "await asyncio.get_running_loop().getaddrinfo(…)",
    "socket.gethostbyname": "await asyncio.get_running_loop().getaddrinfo(…)",
    "socket.gethostbyaddr": _IN_A_THREAD,
    "socket.getnameinfo": "await asyncio.get_running_loop().getnameinfo(…)",
    "sqlite3.connect": _IN_A_THREAD,
    "subprocess.Popen": "await asyncio.create_subprocess_exec(…)",
    "os.system": "await asyncio.create_subprocess_shell(…)",
    "http.client.connect": "an asynchronous client",
    "http.client.send": "an asynchronous client",
    "smtplib.connect": _IN_A_THREAD,
    "smtplib.send": _IN_A_THREAD,
    "ftplib.connect": _IN_A_THREAD,
    "imaplib.send": _IN_A_THREAD,
}
_SOCKET_METHODS = ("recv", "recv_into", "recvfrom", "send", "sendall", "accept")
_TLS_METHODS = ("read", "write", "do_handshake")
_PLACES_MAX = 1000
_STANDARD = os.path.dirname(os.__file__)  # noqa: PTH120 - as frames spell it


class BlockingCalls:
    """Listens from `install` on, for the rest of the process's life.

    Args:
        say: The error log.
        modules: Of every filter, by its name; a later snapshot may have others.
    """

    def __init__(self, say: Say, modules: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self.is_on = True
        self.modules = modules
        self._say = say
        self._clock = clock
        self._book = StallBook()
        self._known: set[tuple[str, str, int]] = set()
        self._is_busy = False  # what is done here may announce itself too

    def __repr__(self) -> str:
        return f"<BlockingCalls {len(self._known)} places>"

    def install(self) -> None:
        """Begins to listen. Once in a process."""
        sys.addaudithook(self._audit)
        self._wrap_sleep()
        for name in _SOCKET_METHODS:
            self._wrap(socket.socket, name)
        for name in _TLS_METHODS:
            self._wrap(ssl.SSLSocket, name)

    def tick(self) -> None:
        """Says what has waited for its turn; to be called about once a second."""
        line = self._book.due(self._clock())
        if line is not None:
            self._say("blocking_call", line.message, "warning", **line.fields)

    # -- what happens ----------------------------------------------------------------------------------------------

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "time.sleep" or event not in _ADVICE or not self._listens():
            return
        with contextlib.suppress(Exception):  # what is wrong here must not become the caller's
            if _blocks(event, arguments):
                self._seen(event, _caller())

    def _wrap_sleep(self) -> None:
        """Python announces it from 3.13 on; until then, and for who has imported it by name, it is replaced."""
        original = time.sleep

        def sleep(seconds: float) -> None:
            if self._listens():
                with contextlib.suppress(Exception):
                    if seconds > 0:
                        self._seen("time.sleep", _caller())
            original(seconds)

        for module in list(sys.modules.values()):
            names = [name for name, value in getattr(module, "__dict__", {}).items() if value is original]
            for name in names:
                setattr(module, name, sleep)

    def _wrap(self, cls: type, name: str) -> None:
        original = getattr(cls, name)

        def method(self_: socket.socket, *arguments: Any, **named: Any) -> Any:
            if self._listens() and self_.gettimeout() != 0:
                with contextlib.suppress(Exception):
                    self._seen(f"socket.{name}", _caller())
            return original(self_, *arguments, **named)

        method.__name__ = name
        setattr(cls, name, method)

    def _listens(self) -> bool:
        if not self.is_on or self._is_busy:
            return False
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # a thread without one may block
            return False
        return True

    def _seen(self, call: str, frame: FrameType | None) -> None:
        self._is_busy = True
        try:
            place, filters, through = self._place(frame)
            if place is None:
                return
            file, line = place.f_code.co_filename, place.f_lineno
            if (call, file, line) in self._known or len(self._known) >= _PLACES_MAX:
                return
            self._known.add((call, file, line))
            way = f" through {through}" if through else ""
            advice = _ADVICE.get(call, "an asynchronous client")
            message = f"{call}{way} is called on the loop, where every client waits for it; instead: {advice}"
            fields: dict[str, Any] = {"filter": filters} if filters else {}
            fields |= {"call": call, "file": file, "line": line, "function": place.f_code.co_name}
            self._book.offer(self._clock(), f"{call} {file}:{line}", message, fields)
            self.tick()
        finally:
            self._is_busy = False

    def _place(self, frame: FrameType | None) -> tuple[FrameType | None, str, str]:
        """The line to look at, whose filter's it is, and the function that it called there.

        Innermost frame of a package that filters come from; without one, of whatever is neither Python's nor ours.
        """
        packages = {module.partition(".")[0] for module in self.modules.values()} - {"tidegate"}
        others = inner = None
        while frame is not None:
            module = str(frame.f_globals.get("__name__", ""))
            if module.partition(".")[0] in packages:
                names = " or ".join(sorted(name for name, own in self.modules.items() if own == module))
                through = "" if inner is None else f"{inner.f_globals.get('__name__', '')}.{inner.f_code.co_name}"
                return frame, names, through
            is_library = "site-packages" in frame.f_code.co_filename
            is_standard = frame.f_code.co_filename.startswith((_STANDARD, "<frozen")) and not is_library
            if others is None and not is_standard and module.partition(".")[0] not in ("tidegate", "__main__"):
                others = frame
            inner = frame
            frame = frame.f_back
        return others, "", ""


def _caller() -> FrameType | None:
    """Who called the function that calls this one."""
    here = inspect.currentframe()
    return here.f_back.f_back if here is not None and here.f_back is not None else None


def _blocks(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether the call can wait at all."""
    match event:
        case "socket.connect":
            return bool(arguments[0].gettimeout() != 0)
        case "socket.getaddrinfo" | "socket.gethostbyname":
            return not _is_address(arguments[0])
    return True


def _is_address(host: Any) -> bool:
    if not host:
        return True
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return True
