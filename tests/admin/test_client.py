import contextlib
import socket
import threading

import pytest

from tidegate.admin.client import ControlClient
from tidegate.process.failure import StartError


@contextlib.contextmanager
def answering(path, answer):
    """A unix socket that answers one connection with these bytes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        asked = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(65536)
                while not request.endswith(b"}" if request.startswith(b"POST") else b"\r\n\r\n"):
                    request += connection.recv(65536)  # the body may come behind the head
                asked.append(request)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join(10)


def client(path):
    return ControlClient(path, 41, timeout_s=5.0)


def test_answers_are_json(tmp_path):
    path = tmp_path / "s"
    with answering(path, b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}') as asked:
        assert client(path).post("/stop", {"at_once": True}) == {"a": 1}
    assert asked[0].startswith(b"POST /stop HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "does not answer"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", "refused: 503 busy"),
        (b"nonsense\r\n\r\n", "does not answer"),
    ],
)
def test_trouble_is_one_line(tmp_path, answer, words):
    path = tmp_path / "s"
    with answering(path, answer), pytest.raises(StartError, match=f"the gateway with pid 41 {words}"):
        client(path).get("/status")


def test_nobody_there_is_one_line(tmp_path):
    with pytest.raises(StartError, match="does not answer"):
        client(tmp_path / "absent").get("/status")
