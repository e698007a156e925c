"""``[shed]``: when a worker has too much to do, and refuses some of it to go on with the rest."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

from annotated_types import Ge, Le

from tidegate.config import values
from tidegate.config.kinds import Doc, Duration, Kind, Off, describe
from tidegate.config.section import Section

__all__ = ["MemoryBound", "MemoryLevel", "Shed", "parse_memory_level"]


class MemoryLevel(NamedTuple):
    """A bound on memory: ``size`` in bytes of one worker, or ``share``, from 0 to 1, of what all may have."""

    size: int = 0
    share: float = 0.0


def parse_memory_level(text: str) -> MemoryLevel:
    """The bound that ``text`` spells; ValueError when it is none."""
    if (percent := re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?) ?%", text)) is not None:
        share = float(percent[1]) / 100
        if not 0.01 <= share <= 1:
            raise ValueError(f'expected a share from "1%" to "100%", got {describe(text)}')
        return MemoryLevel(share=share)
    size = values.parse_size(text)
    if size < 1 << 20:
        raise ValueError(f"expected 1MiB or more, got {describe(text)}")
    return MemoryLevel(size=size)


@dataclass(frozen=True, slots=True)
class MemoryBound(Kind):
    """A share of the memory that there is, or a size; the plain value is the text."""

    expects: ClassVar[str] = 'a share such as "90%" or a size such as "512MiB"'
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^[0-9]+(\.[0-9]+)? ?(%|B|KiB|MiB|GiB|TiB|KB|MB|GB)$",
        "examples": ["90%", "512MiB"],
    }

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(self.schema["pattern"], value) is None:
            raise ValueError(f"expected {self.expects}, got {describe(value)}")
        parse_memory_level(value)
        return value

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed(Section):
    """Bounds of one worker. While one is passed, new requests are refused with 503 before anything is done for them,
    the least important class first (`classes`) and more of them as long as it goes on. What is under way is finished,
    and health, metrics and the admin API are another process. All bounds are off unless they are said.
    """

    loop_lag: Annotated[
        Annotated[float, Duration(shortest=0.01, longest=60.0)] | None,
        Off(),
        Doc("How late the worker may be: how long its loop is held, or every request has waited to be read."),
    ] = None
    memory: Annotated[
        Annotated[str, MemoryBound()] | None,
        Off(),
        Doc(
            "A size: memory of the worker's own. A share: of what the control group of the gateway may have (where it "
            "has no bound, the machine), of all that runs in it; what the kernel can take back does not count."
        ),
    ] = None
    in_flight: Annotated[
        Annotated[int, Ge(1), Le(10_000_000)] | None,
        Off(),
        Doc("Exchanges that the worker may have under way, WebSockets and those that wait included."),
    ] = None
