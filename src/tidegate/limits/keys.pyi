from tidegate.config.limit_keys import KeyPart

class RequestKey:
    count: int
    def __init__(self, secret: bytes, name: str, parts: tuple[KeyPart, ...]) -> None: ...
    def fingerprint(
        self,
        head: bytes,
        *,
        client: bytes = b"192.0.2.1",
        path: bytes = b"/",
        route: bytes = b"",
        upstream: bytes = b"",
        subject: bytes = b"",
        tenant: bytes = b"",
        digest: bytes = b"",
    ) -> tuple[int, bool]:
        """The fingerprint of a request, and whether a part of the key is missing in it; for tests and tools."""
    def shown(
        self,
        head: bytes,
        *,
        client: bytes = b"192.0.2.1",
        subject: bytes = b"",
        tenant: bytes = b"",
        digest: bytes = b"",
        shows_values: bool = False,
        room: int = 84,
    ) -> bytes:
        """What a person is shown of a request's key, in at most ``room`` bytes; for tests and tools."""
    def fingerprint_times(self, head: bytes, times: int) -> None:
        """The same so many times: for benchmarks."""
    def fingerprint_of_text(self, text: bytes) -> int:
        """The fingerprint of a request whose only part is ``text``."""
