from typing import final

@final
class Assembly:
    """Room for a value of ``size`` bytes."""

    size: int
    filled: int
    def __init__(self, size: int) -> None: ...
    def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Copies a piece behind those before. Raises ValueError when there is no room for it."""
    def take(self) -> bytes:
        """The value, without a copy; once. Raises ValueError when it is not whole."""
