from typing import final

from tidegate.upstream.tls import TlsSettings

@final
class Peer:
    scheme: str
    host: str
    port: int
    address: str
    is_unix: bool
    tls: TlsSettings | None
    source_address: str
    family: int
    sockaddr: bytes
    source_sockaddr: bytes
    label: str
    def __init__(
        self,
        host: str,
        port: int = 0,
        address: str | None = None,
        *,
        scheme: str | None = None,
        tls: TlsSettings | None = None,
        source_address: str = "",
    ) -> None: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
