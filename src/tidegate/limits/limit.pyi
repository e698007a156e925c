from tidegate.config.allotment import Place
from tidegate.config.limits import Limit as LimitSettings
from tidegate.limits.bell import WorkerBells
from tidegate.limits.keys import RequestKey
from tidegate.memory.inflight import Inflight, PermitTable
from tidegate.memory.mapping import Mapping

class Limit:
    name: str
    settings: LimitSettings
    key: RequestKey
    kind: int
    is_dry: bool
    charges_failures: bool
    delays: bool
    policies: list[str]
    permits: PermitTable | None
    has_queue: bool
    def __init__(
        self,
        name: str,
        settings: LimitSettings,
        place: Place,
        mapping: Mapping,
        secret: bytes,
        inflight: Inflight | None = None,
        bells: WorkerBells | None = None,
        classes: tuple[str, ...] = (),
    ) -> None: ...
    def held(self, key: bytes = b"") -> int:
        """Permits that all workers hold of a key of one part, or of a limit without key."""
