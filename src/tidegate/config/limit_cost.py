"""What a request takes of a limit, as the file spells it."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from tidegate.config import values
from tidegate.config.kinds import Kind, describe

__all__ = ["COST_MAX", "Cost", "CostSource", "CostUnit", "parse_cost", "parse_cost_unit"]

COST_MAX = 1_000_000
"""Of one request, where it is said beforehand."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")

Source = Literal["constant", "header", "upstream.seconds", "response.bytes"]


class CostSource(NamedTuple):
    """Where a cost comes from; ``number`` is a constant, ``name`` that of a field."""

    source: Source
    number: int = 1
    name: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether it is known only when the request has ended."""
        return self.source in _MEASURED


_MEASURED: dict[str, Source] = {"upstream.seconds": "upstream.seconds", "response.bytes": "response.bytes"}


def parse_cost(value: int | str) -> CostSource:
    """What ``value`` spells; ValueError when it is none."""
    if isinstance(value, int):
        if 1 <= value <= COST_MAX:
            return CostSource("constant", value)
    elif (measured := _MEASURED.get(value)) is not None:
        return CostSource(measured)
    else:
        source, colon, name = value.partition(":")
        if source == "header" and colon and _TOKEN.fullmatch(name) is not None:
            return CostSource("header", 1, name)
    raise ValueError(f"expected {Cost.expects}, got {describe(value)}")


def parse_cost_unit(text: str, source: str) -> float:
    """Seconds or bytes that count as one; ValueError when ``text`` is not what ``source`` is measured in."""
    if source == "upstream.seconds":
        return values.parse_duration(text)
    return float(values.parse_size(text))


@dataclass(frozen=True, slots=True)
class Cost(Kind):
    """What a request takes: a number, or where it is found."""

    expects: ClassVar[str] = (
        f'a whole number from 1 to {COST_MAX}, "header:NAME", "upstream.seconds" or "response.bytes"'
    )
    schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": COST_MAX},
            {"enum": list(_MEASURED)},
            {"type": "string", "pattern": "^header:[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        ]
    }

    def read(self, value: Any) -> int | str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"expected {self.expects}, got {describe(value)}")  # noqa: TRY004 - pydantic collects it
        parse_cost(value)
        return value

    def show(self, value: int | str) -> str:
        return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class CostUnit(Kind):
    """How much of what is measured counts as one, kept as it is written: its option says in what."""

    expects: ClassVar[str] = 'a duration such as "100ms" or a size such as "1KiB"'
    schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["100ms", "1KiB"]}

    def read(self, value: Any) -> str:
        if isinstance(value, str):
            for parse in (values.parse_duration, values.parse_size):
                try:
                    is_some = parse(value) > 0
                except ValueError:
                    continue
                if is_some:
                    return value
        raise ValueError(f"expected {self.expects}, got {describe(value)}")

    def show(self, value: str) -> str:
        return f'"{value}"'
