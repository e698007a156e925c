"""JSON Schema: an independent validator takes what the checker takes, and refuses misspelt names and wrong types."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.config.gateways import PLAIN

from tidegate.config.json_schema import json_schema

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "examples").glob("**/*.toml"))


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize(
    "more",
    [
        "",
        '[server]\nworkers = "auto"\nmax_connections_per_address = "off"\n',
        "[server]\nworkers = 3\n",
        '[upstreams.b]\nendpoints = ["a:1", { address = "b:1", weight = 2 }]\npool = { max_age = "off" }\n',
        '[filters.x]\nclass = "a.b:C"\nanything = [1]\n',
        '[[routes]]\nname = "x"\nheaders = { A = true, B = "~c" }\nredirect = { to = "/", status = 301 }\n',
    ],
)
def test_what_is_right_is_taken(more: str) -> None:
    VALIDATOR.validate(tomllib.loads(PLAIN + more))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_taken(path: Path) -> None:
    VALIDATOR.validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize(
    "more",
    [
        "x = 1\n" + PLAIN,
        PLAIN + "[server]\nworkerz = 3\n",
        PLAIN + '[server]\nworkers = "autto"\n',
        PLAIN + "[server]\ndrain_timeout = 5\n",
        PLAIN + '[server]\ndrain_timeout = "5"\n',
        PLAIN + "[filters.x]\n",
        PLAIN + "[upstreams.b]\n",
        PLAIN + '[[routes]]\nname = "x"\nheaders = { A = 1 }\n',
    ],
)
def test_what_is_wrong_is_refused(more: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(tomllib.loads(more))


def resolved(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = [schema]
    for value in schema.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                found += resolved(inner)
    return found


def test_every_default_fits_its_own_schema() -> None:
    options = [one for one in resolved(SCHEMA) if "default" in one]
    assert len(options) > 40
    for option in options:
        VALIDATOR.evolve(schema={**option, "$defs": SCHEMA["$defs"]}).validate(option["default"])


def test_every_option_is_described() -> None:
    for name, section in SCHEMA["$defs"].items():
        for option, declared in section["properties"].items():
            assert declared.get("description"), f"{name}.{option}"
