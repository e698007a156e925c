"""No option is an empty promise: ``options.toml`` names for each of them a test that fails when it is ignored."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tidegate.config.declarations import declared, section_in
from tidegate.config.schema import Gateway
from tidegate.config.section import Section

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "tree" / "options.toml"


def options(section: type[Section], at: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted names of all options that hold a value, and of lists of sections."""
    for known in declared(section).values():
        below = section_in(known.annotation)
        if below is not None:
            yield from options(below, (*at, known.name))
        else:
            yield ".".join((*at, known.name))


def named(table: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """The dotted names of the table, each with its tests."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from named(value, (*at, name))
        else:
            yield ".".join((*at, name)), [value] if isinstance(value, str) else value


def test_every_option_names_a_test_and_every_name_is_an_option() -> None:
    table = dict(named(tomllib.loads(TABLE.read_text())))
    known = set(options(Gateway))
    sections = {name.rpartition(".")[0] for name in known}
    assert not known - set(table), f"{TABLE.name} has no test for these options"
    assert not set(table) - known - sections, f"{TABLE.name} names what is no option (any more)"


def test_every_test_that_is_named_is_there() -> None:
    missing = []
    for name, tests in named(tomllib.loads(TABLE.read_text())):
        for test in tests:
            file, _, function = test.partition("::")
            path = ROOT / file
            if not path.exists() or not re.search(rf"^(async )?def {function}\(", path.read_text(), re.MULTILINE):
                missing.append(f"{name}: {test}")
    assert not missing


def test_every_option_of_a_shipped_filter_is_used_by_its_tests() -> None:
    from importlib import import_module

    from tidegate.config.options import declared as options_of
    from tidegate.exchange.filter import Filter

    unused = []
    for path in sorted((ROOT / "src" / "tidegate" / "filters").glob("*.py")):
        module = import_module(f"tidegate.filters.{path.stem}" if path.stem != "__init__" else "tidegate.filters")
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, Filter) and cls.__module__ == module.__name__:
                tests = (ROOT / "tests" / "filters" / f"test_{path.stem}.py").read_text()
                unused += [f"{cls.__name__}.{name}" for name in options_of(cls) if not mentions(tests, name)]
    assert not unused


def mentions(text: str, name: str) -> bool:
    """Whether a test gives the option: as a keyword, or as a key of a dict."""
    return re.search(rf"\b{name}\s*=|[\"']{name}[\"']\s*:", text) is not None


def test_every_meter_is_moved_by_somebody() -> None:
    source = ROOT / "src" / "tidegate"
    names = re.findall(
        r"^    ([A-Z][A-Z_]+)", (source / "memory" / "meters.pxd").read_text().split("COUNTER_COUNT")[0], re.MULTILINE
    )
    assert len(names) > 25
    text = "".join(
        path.read_text()
        for path in (*source.rglob("*.pyx"), *source.rglob("*.py"))
        if path.relative_to(source).parts[0] not in {"memory", "admin"} and path.name != "metric_names.py"
    )
    dead = [
        name
        for name in names
        if not re.search(rf"\b(add|put|take|raise_to)\({name}\b|\b(count|set)\(\"{name.lower()}\"|_CAUSE.*{name}", text)
        and not re.search(rf"left_sync\({name}\)", text)
    ]
    # Read from the rings, where loss is counted; and two of a conditional expression.
    assert set(dead) <= {"LOG_LINES_LOST", "EXCHANGES_SYNC"}, "these are exported and always zero"
