"""Cases as data from tests/vectors, and the ways in which bytes may arrive."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "vectors"
SPLIT_AT_MOST = 400  # every two-way split of an input up to this size; of a longer one the first and last so many


def joined(parts: Any) -> bytes:
    """Text, one character a byte; a list joins its parts and [text, n] repeats."""
    if isinstance(parts, str):
        return parts.encode("latin-1")
    return b"".join(
        part.encode("latin-1") if isinstance(part, str) else part[0].encode("latin-1") * part[1] for part in parts
    )


@dataclass(frozen=True)
class Case:
    name: str
    input: bytes
    refused: str | None
    incomplete: bool
    all: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def load(file: str) -> list[Case]:
    return [
        Case(
            name=case["name"],
            input=joined(case.get("input", "")),
            refused=case.get("refused"),
            incomplete=case.get("incomplete", False),
            all=case,
        )
        for case in json.loads((FOLDER / file).read_text())["cases"]
    ]


def arrivals(data: bytes) -> Iterator[list[bytes]]:
    """The ways in which the bytes of a case arrive: whole, byte by byte, and every cut in two."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    cuts = range(1, len(data))
    if len(data) > SPLIT_AT_MOST:
        cuts = [*range(1, SPLIT_AT_MOST // 2), *range(len(data) - SPLIT_AT_MOST // 2, len(data))]
    for cut in cuts:
        yield [data[:cut], data[cut:]]
