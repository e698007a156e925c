"""The declarations as JSON Schema, for editors and for `tidegate check --schema`."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from tidegate.config.declarations import declared, markers, section_in, spelling
from tidegate.config.kinds import Off
from tidegate.config.rules.filters import EXPECTED_CLASS
from tidegate.config.schema import FilterUse, Gateway
from tidegate.config.section import Section

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """A new JSON Schema (2020-12) of the configuration file, defaults spelt as the file spells them."""
    schema = TypeAdapter(Gateway).json_schema()
    definitions = schema["$defs"]
    _finish(schema, Gateway)
    for section in _sections(Gateway):
        _finish(definitions[section.__name__], section)
    options = definitions["FilterUse"]
    definitions["FilterUse"] = {
        "type": "object",
        "description": "A filter: its class, and beside it the options that the class declares.",
        "properties": {
            "class": {
                **options["properties"]["target"],
                "pattern": r"^\w+(\.\w+)*:\w+$",
                "examples": [EXPECTED_CLASS[-22:]],
            }
        },
        "required": ["class"],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tidegate configuration", **schema}


def _sections(section: type[Section]) -> Iterator[type[Section]]:
    for known in declared(section).values():
        inner = section_in(known.annotation)
        if inner is not None:
            yield inner
            yield from _sections(inner)


def _finish(schema: dict[str, Any], section: type[Section]) -> None:
    """Takes out what only pydantic needs: titles, null for what is absent, defaults as the model holds them."""
    if section is FilterUse:
        return
    schema.pop("title", None)
    for known in declared(section).values():
        option = schema["properties"][known.name]
        option.pop("title", None)
        choices = option.get("anyOf")
        if choices is not None:
            option["anyOf"] = choices = [one for one in choices if one.get("type") != "null"]
            if len(choices) == 1:
                option.update(option.pop("anyOf")[0])
        option.pop("default", None)
        default = known.default
        if known.is_required or (
            default is None and not any(isinstance(mark, Off) for mark in markers(known.annotation))
        ):
            continue
        if isinstance(default, tuple):
            option["default"] = list(default)
        elif isinstance(default, str | int | float | None):
            option["default"] = json.loads(spelling(default, known.annotation))
