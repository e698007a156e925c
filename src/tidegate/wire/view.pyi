# What the codec sees, as plain Python values. For tests and measurements; nothing in a worker imports it.

from typing import TypedDict

REFUSALS: dict[str, int]

# A codec refused its input: ``name`` and ``status`` say why and what answers it.
class RefusalError(ValueError):
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

# One request head; ``fields`` are (name, value, FieldId, FieldFlag).
class RequestView(_Head):
    method: bytes
    method_id: int
    target: bytes
    form: str
    path: bytes
    query: bytes | None
    host: bytes

# One response head.
class ResponseView(_Head):
    status: int
    reason: bytes

# Grows a buffer and asks the parser again, as a connection does.
class RequestParser:
    def __init__(self, *, head_bytes: int = 65536, target_bytes: int = 8192, fields: int = 100) -> None: ...
    def feed(self, data: bytes) -> RequestView | None: ...
    @property
    def rest(self) -> bytes: ...

# As RequestParser; ``to_head`` says that it answers a HEAD request.
class ResponseParser:
    def __init__(
        self, *, to_head: bool = False, head_bytes: int = 65536, target_bytes: int = 8192, fields: int = 100
    ) -> None: ...
    def feed(self, data: bytes) -> ResponseView | None: ...
    @property
    def rest(self) -> bytes: ...

# A chunked body: ``feed`` returns the data in what it is given.
class ChunkedParser:
    done: bool
    rest: bytes
    def feed(self, data: bytes) -> bytes: ...

def field_identity(name: bytes) -> int: ...
def names_equal(a: bytes, b: bytes) -> bool: ...
def hash_name(name: bytes) -> int: ...
def token(text: bytes) -> bool: ...
def field_value(text: bytes) -> bool: ...

# A path has no canonical form: ``name`` says why.
class PathRefusalError(ValueError):
    name: str
    def __init__(self, refusal: int) -> None: ...

PATH_REFUSALS: set[str]
PATH_ALLOW: dict[str, int]

def path_is_canonical(path: bytes) -> bool: ...
def path_canonical(path: bytes, allow: int = 0) -> bytes: ...
def query_parameter(query: bytes, name: bytes) -> bytes | None: ...
def cookie(text: bytes, name: bytes) -> bytes | None: ...

# The micro-benchmark's loops: the same input so many times, without Python objects in between.
def parse_request_times(data: bytes, times: int, step: int = 0) -> None: ...
def parse_response_times(data: bytes, times: int) -> None: ...
def feed_chunked_times(data: bytes, times: int) -> None: ...
def canonical_path_times(path: bytes, times: int) -> None: ...
