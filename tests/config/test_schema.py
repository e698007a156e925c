"""The declarations as a whole: each option has prose, a default that fits it, and needs no pydantic."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.config.declarations import Declared, declared, expectation, section_in, spelling
from tidegate.config.schema import FilterUse, Gateway
from tidegate.config.section import Section
from tidegate.config.structure import adapter


def sections(section: type[Section] = Gateway) -> Iterator[type[Section]]:
    yield section
    for known in declared(section).values():
        inner = section_in(known.annotation)
        if inner is not None:
            yield from sections(inner)


OPTIONS = [
    pytest.param(section, known, id=f"{section.__name__}.{known.name}")
    for section in dict.fromkeys(sections())
    if section is not FilterUse
    for known in declared(section).values()
]


@pytest.mark.parametrize(("section", "known"), OPTIONS)
def test_option_says_in_a_sentence_what_it_is_for(section: type[Section], known: Declared) -> None:
    assert known.doc[:1].isupper() or known.doc[:1] in '`"308'
    assert known.doc.endswith((".", "/*`"))
    assert "|" not in known.doc, "would end the cell of the manual's table"


@pytest.mark.parametrize(("section", "known"), OPTIONS)
def test_option_knows_what_it_expects(section: type[Section], known: Declared) -> None:
    assert expectation(known.annotation) not in ("", "a value")


REQUIRED = {
    "bind": "127.0.0.1:1", "endpoints": ["a:1"], "name": "a", "address": "a:1", "to": "/", "cookie": "a",
    "certificates": [{"cert": "a", "key": "b"}], "cert": "a", "key": "sha256:" + "0" * 64,
    "kind": "key", "keys": [{"key": "sha256:" + "0" * 64, "subject": "a"}], "subject": "a", "rate": "1/s",
    "url": "redis://a",
}  # fmt: skip
SPELT = [
    pytest.param(*option.values, spelling(option.values[1].default, option.values[1].annotation), id=option.id)
    for option in OPTIONS
    if not option.values[1].is_required and not isinstance(option.values[1].default, Section)
]


@pytest.mark.parametrize(("section", "known", "spelt"), [option for option in SPELT if option.values[2]])
def test_default_as_spelt_is_accepted_and_is_the_default(section: type[Section], known: Declared, spelt: str) -> None:
    tree = {name: REQUIRED[name] for name, option in declared(section).items() if option.is_required}
    tree |= tomllib.loads(f"{known.name} = {spelt}")
    made = adapter(section).validate_json(json.dumps(tree), context={"directory": Path("/")})
    assert getattr(made, known.name) == known.default


def test_a_worker_needs_no_pydantic_for_the_model() -> None:
    program = (
        "import sys; import tidegate.config.schema, tidegate.config.snapshot, tidegate.config.options, "
        "tidegate.config.secrets, tidegate.config.patterns; "
        "from tidegate.config.schema import Gateway, Listener; from tidegate.config.snapshot import Snapshot; "
        "s = Snapshot.build(Gateway(listeners=(Listener(bind='127.0.0.1:1'),))); "
        "assert Snapshot.decode(s.encode()) == s; "
        "sys.exit(any(name.startswith(('pydantic', 'yaml', 'tree_sitter')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
