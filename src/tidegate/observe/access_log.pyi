from collections.abc import Sequence

from tidegate.memory.log_ring import LogRing

class AccessLog:
    is_on: bool
    is_json: bool
    def __init__(
        self, ring: LogRing | None, line_format: str = "json", fields: Sequence[str] = ..., clip_bytes: int = 2048
    ) -> None: ...
    def log(self, fields: dict[str, int | bytes], times: int = 1) -> None: ...
