from tidegate.bench.client import Client

def opening(target: bytes, fields: bytes) -> tuple[bytes, bytes]:
    """The request that asks for a WebSocket, and the Sec-WebSocket-Accept that answers it.

    target: of the request line. fields: further header lines, Host among them, each with its CRLF.
    """

def frame(payload: bytes, *, is_text: bool = True) -> bytes:
    """One message as a client sends it: one frame, masked."""

class WebSocketClient(Client): ...
