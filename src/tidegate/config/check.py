"""All that is wrong with a configuration, at once; and, when nothing is, the snapshot of it.

In three steps: read (syntax, with positions), shape (names, types and bounds, by the declarations), rules (what it
means as a whole). Each goes on with what the one before found right. Importing this costs the memory of pydantic: a
worker never does, it decodes a snapshot.
"""

import dataclasses
from pathlib import Path as FilePath
from typing import Any

from tidegate.config.findings import Finding
from tidegate.config.kinds import describe
from tidegate.config.load import Source, load, load_text
from tidegate.config.rules.files import check_files
from tidegate.config.rules.filters import EXPECTED_CLASS, check_filters
from tidegate.config.rules.logs import check_logs
from tidegate.config.rules.references import check_names
from tidegate.config.rules.routes import check_routes
from tidegate.config.rules.sockets import check_sockets
from tidegate.config.rules.subject import Subject
from tidegate.config.rules.upstreams import check_upstreams
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.config.structure import shape

__all__ = ["check", "check_text"]


def check(path: str | FilePath, *, number: int = 1) -> tuple[Snapshot | None, list[Finding]]:
    """The snapshot of the configuration at ``path``, or None when a finding is an error; and all findings, by line.

    Raises nothing, whatever is in the file. Modules of filters are imported, if ``server.filter_packages`` allows them.
    """
    file = FilePath(path)
    return _check(load(file), file.absolute().parent, number)


def check_text(
    text: str, *, file: str = "gateway.toml", directory: str | FilePath = ".", is_yaml: bool = False, number: int = 1
) -> tuple[Snapshot | None, list[Finding]]:
    """As :func:`check`, for a configuration that is not in a file; relative paths begin at ``directory``."""
    return _check(load_text(text, file=file, is_yaml=is_yaml), FilePath(directory).absolute(), number)


def _check(source: Source, directory: FilePath, number: int) -> tuple[Snapshot | None, list[Finding]]:
    gateway = None
    if source.tree is not None:
        shaped = shape(source, Gateway, _with_targets(source, source.tree), directory)
        if shaped.section is not None:
            subject = Subject(source, shaped, shaped.section)
            gateway = _apply_rules(subject, directory)
    findings = sorted(source.findings, key=lambda finding: (finding.line, finding.column))
    if gateway is None or any(finding.severity == "error" for finding in findings):
        return None, findings
    return Snapshot.build(gateway, number=number, source_text=source.text), findings


def _with_targets(source: Source, tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with filters as the schema has them: a field cannot be named `class`, and the class has the options."""
    filters = tree.get("filters")
    if not isinstance(filters, dict):
        return tree
    uses: dict[str, Any] = {}
    for name, table in filters.items():
        if not isinstance(table, dict):
            uses[name] = table
        elif isinstance(table.get("class"), str):
            options = {key: value for key, value in table.items() if key != "class"}
            uses[name] = {"target": table["class"], "options": options}
        elif ("filters", name, "class") not in source.refused:
            got = f", got {describe(table['class'])}" if "class" in table else ""
            message = f"{'' if got else 'is missing; '}expected {EXPECTED_CLASS}{got}"
            source.findings.append(source.finding(("filters", name, "class"), message, expected=EXPECTED_CLASS))
    return {**tree, "filters": uses}


def _apply_rules(subject: Subject, directory: FilePath) -> Gateway:
    check_names(subject)
    check_sockets(subject)
    check_files(subject)
    check_upstreams(subject)
    check_logs(subject)
    check_routes(subject)
    return dataclasses.replace(subject.gateway, filters=check_filters(subject, directory))
