"""All that is wrong with a configuration, at once; and, when nothing is, the snapshot of it.

In three steps: read (syntax, with positions), shape (names, types and bounds, by the declarations), rules (what it
means as a whole). Each goes on with what the one before found right. Importing this costs the memory of pydantic: a
worker never does, it decodes a snapshot.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from tidegate.config.allotment import LEARNERS, Place, allot, learners_for
from tidegate.config.findings import Finding, Path
from tidegate.config.kinds import describe
from tidegate.config.load import Source, load, load_text
from tidegate.config.rules.accounts import check_accounts
from tidegate.config.rules.auth import check_auth
from tidegate.config.rules.cache import check_cache
from tidegate.config.rules.classes import check_classes
from tidegate.config.rules.cores import check_cores
from tidegate.config.rules.files import check_files
from tidegate.config.rules.filters import EXPECTED_CLASS, check_filters
from tidegate.config.rules.limits import check_limits
from tidegate.config.rules.logs import check_logs
from tidegate.config.rules.redis import check_redis
from tidegate.config.rules.references import check_names, check_secrets
from tidegate.config.rules.routes import check_routes
from tidegate.config.rules.sockets import check_sockets
from tidegate.config.rules.subject import Subject
from tidegate.config.rules.upstreams import check_upstreams
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Origin, Snapshot
from tidegate.config.source import origin_of
from tidegate.config.structure import shape
from tidegate.config.values import format_size

__all__ = ["Examined", "check", "check_text", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """All that is known of a configuration after its check; ``gateway`` is None when a finding is an error."""

    source: Source
    findings: list[Finding]
    gateway: Gateway | None = None
    secrets: dict[Path, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    def snapshot(self, number: int, origin: Origin | None = None) -> Snapshot | None:
        """The snapshot of it, if there is nothing wrong."""
        if self.gateway is None:
            return None
        return Snapshot.build(
            self.gateway, number=number, source_text=self.source.text, origin=origin, places=self.places
        )


def check(path: str | FilePath, *, number: int = 1) -> tuple[Snapshot | None, list[Finding]]:
    """The snapshot of the configuration at ``path``, or None when a finding is an error; and all findings, by line.

    Raises nothing, whatever is in the file. Modules of filters are imported, if ``server.filter_packages`` allows them.
    """
    file = FilePath(path)
    examined = examine(load(file), file.absolute().parent)
    origin = origin_of(file, examined.source.text, examined.gateway, examined.secrets)
    return examined.snapshot(number, origin), examined.findings


def check_text(
    text: str, *, file: str = "gateway.toml", directory: str | FilePath = ".", is_yaml: bool = False, number: int = 1
) -> tuple[Snapshot | None, list[Finding]]:
    """As :func:`check`, for a configuration that is not in a file; relative paths begin at ``directory``."""
    examined = examine(load_text(text, file=file, is_yaml=is_yaml), FilePath(directory).absolute())
    return examined.snapshot(number), examined.findings


def examine(
    source: Source,
    directory: FilePath,
    rules: Sequence[Callable[[Subject], None]] = (),
    places: Mapping[str, Place] | None = None,
) -> Examined:
    """Checks what was loaded.

    Args:
        source: The text and what was read of it.
        directory: Where relative paths begin.
        rules: Those that hold only here, such as what a reload cannot change.
        places: Those of the limits that are active: who means the same keeps its place.
    """
    gateway = None
    allotted: Mapping[str, Place] = {}
    secrets: dict[Path, str] = {}
    if source.tree is not None:
        shaped = shape(source, Gateway, _with_targets(source, source.tree), directory)
        if shaped.section is not None:
            subject = Subject(source, shaped, shaped.section)
            gateway = _apply_rules(subject, directory)
            secrets = subject.secrets
            allotted = _allot(subject, places or {})
            for rule in rules:
                rule(subject)
    findings = sorted(source.findings, key=lambda finding: (finding.line, finding.column))
    if any(finding.severity == "error" for finding in findings):
        gateway = None
    return Examined(source=source, findings=findings, gateway=gateway, secrets=secrets, places=allotted)


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


def _allot(subject: Subject, previous: Mapping[str, Place]) -> Mapping[str, Place]:
    memory = subject.gateway.server.limits_memory
    places, without = allot(previous, subject.gateway.limits, memory)
    learners = {name: learners_for(limit) for name, limit in subject.gateway.limits.items()}
    for name in without:
        if learners[name] and sum(learners.values()) > LEARNERS:
            subject.find(
                ("limits", name, "adaptive"),
                f"has no room left to learn in: {LEARNERS} adaptive limits, and keys of such limits, are learned for "
                f"in all, and these want {sum(learners.values())}",
            )
            continue
        limit = subject.gateway.limits[name]
        subject.find(
            ("limits", name),
            f"has no room left{f' for its {limit.keys} keys' if limit.key else ''}: server.limits_memory is "
            f"{format_size(memory)}, of which rates have half, quotas and concurrency a quarter each",
        )
    return places


def _apply_rules(subject: Subject, directory: FilePath) -> Gateway:
    filters = check_filters(subject, directory)  # first: what their classes are for is asked of others
    check_names(subject)
    check_sockets(subject)
    check_cores(subject)
    check_accounts(subject)
    check_files(subject)
    check_upstreams(subject)
    check_redis(subject)
    check_cache(subject)
    check_auth(subject)
    check_limits(subject)
    check_classes(subject)
    check_logs(subject)
    check_routes(subject)
    check_secrets(subject, subject.gateway)
    return dataclasses.replace(subject.gateway, filters=filters)
