import ssl

class TlsSession:
    failure: str | None
    is_certificate_failure: bool
    def __init__(self, context: ssl.SSLContext, is_server: bool, name: str | None = None) -> None: ...
    @property
    def version(self) -> str | None: ...
    @property
    def cipher(self) -> tuple[str, str, int] | None: ...
