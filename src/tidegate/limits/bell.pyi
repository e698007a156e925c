from tidegate.memory.bells import Bells

class WorkerBells:
    bells: Bells
    slot: int
    def __init__(self, bells: Bells, slot: int) -> None: ...
    def heard(self, row: int) -> bool: ...

class LimitBell:
    worker: WorkerBells
    row: int
    is_shared: bool
    def __init__(self, worker: WorkerBells, row: int, is_shared: bool = False) -> None: ...
