from tidegate.memory.mapping import Mapping

TURNS_SIZE: int

class Turns:
    def __init__(self, mapping: Mapping) -> None: ...
    def take(self, kind: str, second: int) -> bool: ...
