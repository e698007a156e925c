"""What the project says of itself: links lead somewhere, examples are accepted, named tests and commands exist."""

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.tree.test_dev import VERBS

from tidegate import testing
from tidegate.cli.app import app
from tidegate.config.check import check_text
from tidegate.config.declarations import declared
from tidegate.config.schema import Route

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "RESULTS.md"]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))

COMPLETION = {
    "listeners": '[[listeners]]\nbind = "127.0.0.1:8080"\n',
    "routes": '[[routes]]\nname = "completed"\npath = "/completed"\nrespond = {}\n',
}
"""What a fragment need not repeat."""
PATTERN = 'path = "/users/{id}/*"\n'
OF_ANOTHER_MACHINE = re.compile(r"cannot be read|there is no (directory|module|file)|is in no allowed package")
"""Findings about files and packages of whoever follows the example."""
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(root|home|work|Users|workspace)/\S*")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    return [
        Block(page, page.read_text()[: match.start()].count("\n") + 1, match[1], match[2])
        for page in PAGES
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        if match[1] in languages
    ]


def prose(page: Path) -> str:
    """The page without fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def code_of(page: Path) -> Iterator[str]:
    """Everything on the page that is set as code."""
    yield from re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`]+)`", prose(page))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_what_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}: no such title"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index]
    assert [name for name in missing if name != "README.md"] == [], "add a row to docs/README.md"


def alternatives(text: str) -> Iterator[str]:
    """The configurations that a block stands for: itself, or, without tables, a route with each set of its options."""
    if re.search(r"^\[", text, re.MULTILINE):
        yield text
        return
    options = set(declared(Route))
    route: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name = re.split(r"[ .=]", line, maxsplit=1)[0]
        if name not in options:  # of another table: the page has to say which
            yield text
            return
        if name in route:  # said again: another example
            yield _route(route)
            route = {}
        route[name] = line
    yield _route(route)


def _route(options: dict[str, str]) -> str:
    given = {"name": 'name = "example"', "path": PATTERN, **options}
    if not given.keys() & {"upstream", "redirect", "respond"}:
        given["upstream"] = 'upstream = "completed"'
    return "[[routes]]\n" + "\n".join(given.values()) + "\n"


def completed(text: str) -> str:
    tree: dict[str, Any] = tomllib.loads(text)
    missing = [completion for table, completion in COMPLETION.items() if table not in tree]
    routes = tree.get("routes", [])
    upstreams = {route["upstream"] for route in routes if "upstream" in route} - tree.get("upstreams", {}).keys()
    filters = {name for route in routes for name in route.get("filters", [])} - tree.get("filters", {}).keys()
    missing += [f'[upstreams.{name}]\nendpoints = ["127.0.0.1:9001"]\n' for name in sorted(upstreams)]
    missing += [f'[filters.{name}]\nclass = "elsewhere:Filter"\n' for name in sorted(filters)]
    return "\n".join([text, *missing])


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configuration_on_a_page_is_accepted(block: Block) -> None:
    for text in alternatives(block.text):
        _, findings = check_text(completed(text), file=str(block))
        errors = [finding for finding in findings if finding.severity == "error"]
        assert [str(one) for one in errors if not OF_ANOTHER_MACHINE.search(one.message)] == []


def test_options_that_are_wrong_would_be_noticed() -> None:
    for text in ('rewrite = { stripprefix = "/a" }', "[[listeners]]\nbind = 8080", 'redirect = { to = "/{nobody}" }'):
        findings = [one for part in alternatives(text) for one in check_text(completed(part))[1]]
        assert [one for one in findings if not OF_ANOTHER_MACHINE.search(one.message)], text


@pytest.mark.parametrize("block", blocks("python", "py"), ids=str)
def test_python_on_a_page_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_filter_of_the_front_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block.text for block in blocks("python") if block.page.name == "README.md"]
    (configuration,) = [block.text for block in blocks("toml") if block.page.name == "README.md"]
    (tmp_path / "acme.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    switched_on = '[server]\nfilter_packages = ["acme"]\n[filters.plan]\nclass = "acme:Plan"\n'
    assert check_text(switched_on + configuration + 'filters = ["plan"]\n')[1] == []
    from acme import Plan

    for sent, plan in (({}, "free"), ({"x-api-key": "k"}, "paid")):
        request = testing.request("GET", "/orders/1", headers=sent)
        assert testing.make(Plan).on_request(request) is None
        assert request.headers["X-Plan"] == plan


# The tables of measured figures are what a program printed: "tidegate idle" in them is no command.
WRITTEN = [page for page in PAGES if page.name != "RESULTS.md"]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_commands_on_a_page_exist(page: Path) -> None:
    code = "\n".join(code_of(page))
    verbs = {(verb.name or verb.callback.__name__) for verb in app.registered_commands if verb.callback}
    verbs |= {str(group.typer_instance.info.name) for group in app.registered_groups if group.typer_instance}
    unknown = {verb for verb in re.findall(r"\./dev (\w+)", code) if verb not in VERBS}
    unknown |= set(re.findall(r"(?:^|[ /;(])(?<!from )tidegate ([a-z]+)\b", code, re.MULTILINE)) - verbs
    assert unknown == set()
    for module in re.findall(r"python -m ([\w.]+)", code):
        assert importlib.util.find_spec(module) is not None, module


def test_tests_that_are_named_as_proof_exist() -> None:
    known = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", prose(page)):
            if re.fullmatch(r"test_\w+", code) and code != "test_rejected_request_is_charged_nowhere":
                assert code in known, f"{page.name} names {code}"
            if re.fullmatch(r"(tests|src|docs|examples|benchmarks)/[\w./-]*", code):
                assert (ROOT / code).exists(), f"{page.name} names {code}"


def kinds_in_the_manual() -> set[str]:
    """What stands in the first column of its tables of kinds and events."""
    found: set[str] = set()
    for name, head in (("logs-and-metrics.md", "| kind | level |"), ("operate.md", "| event |")):
        for table in (ROOT / "docs" / name).read_text().split(head)[1:]:
            rows = table.partition("\n\n")[0].splitlines()
            found |= {kind for row in rows[2:] for kind in re.findall(r"`(\w+)`", row.split("|")[1])}
    return found


def kinds_in_the_program() -> set[str]:
    """What is said with a constant kind, by an error log or through ``logging``."""
    code = "".join(file.read_text() for end in ("py", "pyx") for file in (ROOT / "src").rglob(f"*.{end}"))
    return set(re.findall(r'\b_?(?:say|note)\(\s*"([a-z_]+)"', code)) | set(re.findall(r'"kind": "([a-z_]+)"', code))


def test_kinds_of_the_error_log_in_the_manual_are_said_by_the_program() -> None:
    kinds = kinds_in_the_manual()
    assert len(kinds) > 50
    code = "".join(file.read_text() for end in ("py", "pyx") for file in (ROOT / "src").rglob(f"*.{end}"))
    assert {kind for kind in kinds if f'"{kind}"' not in code} == set()


def test_kinds_that_the_program_says_are_in_the_manual() -> None:
    kinds = kinds_in_the_program()
    assert len(kinds) > 50
    assert kinds - kinds_in_the_manual() == set(), "add a row to the table in logs-and-metrics.md or operate.md"


def test_pages_name_no_place_of_one_machine() -> None:
    for file in [*PAGES, *EXAMPLES]:
        assert not MACHINE_PATH.search(file.read_text()), file.name
