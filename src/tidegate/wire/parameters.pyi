def parameter(kind: str, name: bytes, head: bytes) -> bytes | None:
    """The first field, cookie or query parameter of a whole request head, raw; None when there is none."""
