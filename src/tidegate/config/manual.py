"""The declarations as a page of the manual.

``python -m tidegate.config.manual > docs/configuration.md`` writes it anew; a test fails while the two differ.
"""

import sys
from collections.abc import Iterator
from typing import get_origin

from tidegate.config.declarations import Declared, declared, expectation, markers, section_in, spelling, split
from tidegate.config.kinds import Off
from tidegate.config.schema import FilterUse, Gateway
from tidegate.config.section import Section

__all__ = ["option_table", "page"]

_HEAD = """\
# Configuration

One file says everything. It is TOML; a file whose name ends in `.yaml` or `.yml` is read as YAML (1.2, no tags), with
the same options in the same places. `tidegate check FILE` reads it as `tidegate run` would, prints *all* that is wrong
with it, each thing with its line, and ends with exit code 3 if anything is an error. `tidegate check --schema` prints a
JSON Schema for editors.

```
gateway.toml:14: upstreams.orders.balanse: unknown field; did you mean "balance"?
gateway.toml:21: routes[0].upstream: no upstream is named "ordres"; did you mean "orders"?
2 errors
```

A whole gateway:

```toml
[[listeners]]
bind = "0.0.0.0:8080"

[upstreams.orders]
endpoints = ["10.0.0.5:9001", { address = "10.0.0.6:9001", weight = 2 }]

[[routes]]
name = "orders"
hosts = ["api.example.com"]
path = "/orders/*"
upstream = "orders"
timeout = "5s"
```

- **Durations** have a unit: `"250ms"`, `"5s"`, `"1h30m"` (`us`, `ms`, `s`, `m`, `h`, `d`). **Sizes** too: `"64KiB"`,
  `"1GiB"` (`B`, `KiB`, `MiB`, `GiB`, `TiB`, and the decimal `KB`, `MB`, `GB`). A bare number is refused.
- **Off**: what may be switched off is switched off by `"off"`.
- **Addresses** are `"host:port"`, `"[v6]:port"` or `"unix:/path"`. A listener binds an IP address or `localhost`, which
  is 127.0.0.1; `"[::]:80"` is every IPv6 address and goes beside `"0.0.0.0:80"`.
- **Files**: a relative path begins at the directory of the configuration file.
- **Secrets** are references, `"env:NAME"` or `"file:PATH"`, and read where they are needed: neither the snapshot that
  workers get nor `/status` holds them. One in the open is a warning.
- **Regular expressions** are those of [RE2](https://github.com/google/re2/wiki/Syntax), whose time is linear in the
  text whatever the expression; what it leaves out (look-around, back-references) is a finding.

This page is made from the declarations that the file is checked against (`python -m tidegate.config.manual`).
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for known in declared(Gateway).values():
        section = section_in(known.annotation)
        if section is not None:
            parts += _chapter(_place(known), section)
    return "\n".join(parts)


def _place(known: Declared, around: str = "") -> str:
    """Where the section of an option is written: `listeners[]`, `upstreams.NAME.pool`."""
    kind = get_origin(split(known.annotation)[0])
    many = "[]" if kind is tuple else ".NAME" if kind is not None else ""
    return f"{around}.{known.name}{many}" if around else f"{known.name}{many}"


def _chapter(place: str, section: type[Section], level: str = "##") -> Iterator[str]:
    yield f"{level} `{place}`\n"
    if section is FilterUse:
        yield _FILTERS
        return
    yield f"{_prose(section)}\n"
    yield option_table(section)
    for known in declared(section).values():
        inner = section_in(known.annotation)
        if inner is not None:
            yield from _chapter(_place(known, place), inner, "###")


_FILTERS = """\
A filter: its class, and beside it the options that the class declares.

| option | value | default | what it is for |
|---|---|---|---|
| `class` | "package.module:Class" | required | From `tidegate.filters`, or a package of `server.filter_packages`. |
"""


def _prose(section: type[Section]) -> str:
    return "\n".join(line.strip() for line in (section.__doc__ or "").strip().splitlines())


def option_table(section: type[Section]) -> str:
    """The options of a section (also of a filter: ``section_of(cls)``) as a Markdown table."""
    rows = ["| option | value | default | what it is for |", "|---|---|---|---|"]
    for known in declared(section).values():
        cells = (f"`{known.name}`", expectation(known.annotation), _default(known), known.doc)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _default(known: Declared) -> str:
    if known.is_required:
        return "required"
    if isinstance(known.default, Section):
        return "see below"
    if known.default is None and not any(isinstance(mark, Off) for mark in markers(known.annotation)):
        return "absent"
    return f"`{spelling(known.default, known.annotation)}`"


if __name__ == "__main__":
    sys.stdout.write(page())
