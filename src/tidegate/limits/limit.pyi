from tidegate.config.allotment import Place
from tidegate.config.limits import Limit as LimitSettings
from tidegate.limits.keys import RequestKey
from tidegate.memory.mapping import Mapping

class Limit:
    name: str
    settings: LimitSettings
    key: RequestKey
    needs_auth: bool
    has_upstream: bool
    is_dry: bool
    delays: bool
    charges_failures: bool
    policies: list[tuple[int, int]]
    def __init__(self, name: str, settings: LimitSettings, place: Place, mapping: Mapping, secret: bytes) -> None: ...
