from collections.abc import Iterable

class CommandMeter:
    name: str
    count: int
    errors: int
    total_us: int
    max_us: int
    key_at: int
    def __init__(self, name: str) -> None: ...
    @property
    def buckets(self) -> list[int]: ...

class PrefixMeter:
    prefix: str
    commands: int
    bytes_out: int
    bytes_in: int
    def __init__(self, prefix: str) -> None: ...

class Meters:
    def command(self, spelt: str | bytes) -> CommandMeter: ...
    def prefix(self, key: str | bytes) -> PrefixMeter: ...
    def every_command(self) -> Iterable[CommandMeter]: ...
    def every_prefix(self) -> Iterable[PrefixMeter]: ...
