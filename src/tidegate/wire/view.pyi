"""What the codec sees, as plain Python values. For tests and for trying things out; nothing in a worker imports it."""

from typing import TypedDict

REFUSALS: dict[str, int]

class Refused(ValueError):
    """A codec refused its input: ``name`` and ``status`` say why and what answers it."""

    name: str
    status: int
    def __init__(self, refusal: int) -> None: ...

class _Head(TypedDict):
    minor: int
    framing: str
    length: int
    flags: frozenset[str]
    seen: int
    upgrade: bytes
    fields: list[tuple[bytes, bytes, int, int]]
    size: int

class RequestView(_Head):
    """One request head; ``fields`` are (name, value, FieldId, FieldFlag)."""

    method: bytes
    method_id: int
    target: bytes
    form: str
    path: bytes
    query: bytes | None
    host: bytes

class ResponseView(_Head):
    """One response head."""

    status: int
    reason: bytes

class RequestParser:
    """Grows a buffer and asks the parser again, as a connection does."""

    def __init__(self, *, head_bytes: int = 65536, target_bytes: int = 8192, fields: int = 100) -> None: ...
    def feed(self, data: bytes) -> RequestView | None: ...
    @property
    def rest(self) -> bytes: ...

class ResponseParser:
    """As RequestParser; ``to_head`` says that it answers a HEAD request."""

    def __init__(
        self, *, to_head: bool = False, head_bytes: int = 65536, target_bytes: int = 8192, fields: int = 100
    ) -> None: ...
    def feed(self, data: bytes) -> ResponseView | None: ...
    @property
    def rest(self) -> bytes: ...

class ChunkedParser:
    """A chunked body: ``feed`` returns the data in what it is given."""

    done: bool
    rest: bytes
    def feed(self, data: bytes) -> bytes: ...

def field_identity(name: bytes) -> int: ...
def names_equal(a: bytes, b: bytes) -> bool: ...
def hash_name(name: bytes) -> int: ...
def token(text: bytes) -> bool: ...
def field_value(text: bytes) -> bool: ...
