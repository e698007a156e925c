"""How the command line asks a running gateway: HTTP over control's unix socket."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from tidegate.process.failure import StartError

__all__ = ["ControlClient"]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ControlClient:
    """One gateway's control process, by the pid of its supervisor."""

    def __init__(self, path: Path, pid: int, timeout_s: float = 10.0) -> None:
        self.pid = pid
        self._path = path
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"<ControlClient {self._path}>"

    def get(self, target: str) -> Any:
        """The JSON document at ``target``. StartError when the gateway does not answer."""
        return self._ask("GET", target, None)

    def post(self, target: str, body: dict[str, Any]) -> Any:
        """Sends a command. StartError when it is not taken."""
        return self._ask("POST", target, json.dumps(body))

    def ask(self, method: str, target: str) -> Any:
        """The JSON document that answers, whatever its status says. StartError when the gateway does not answer."""
        _, content = self._exchange(method, target, None)
        try:
            return json.loads(content)
        except ValueError:
            raise StartError(
                f"the gateway with pid {self.pid} answered {content[:200].decode(errors='replace')}"
            ) from None

    def _ask(self, method: str, target: str, body: str | None) -> Any:
        status, content = self._exchange(method, target, body)
        if status >= 400:
            raise StartError(f"the gateway with pid {self.pid} refused: {status} {content[:200].decode()}")
        return json.loads(content)

    def _exchange(self, method: str, target: str, body: str | None) -> tuple[int, bytes]:
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise StartError(f"the gateway with pid {self.pid} does not answer: {reason}") from error
        finally:
            connection.close()
        return answer.status, content
