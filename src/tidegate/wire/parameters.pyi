def parameter(kind: str, name: bytes, head: bytes, is_only: bool = False) -> bytes | None:
    """The first field, cookie or query parameter of a whole request head, raw; None when there is none.

    is_only: None as well when there are several.
    """
