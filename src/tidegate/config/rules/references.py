"""Names that another table has to declare, and secrets that have to be somewhere else."""

from tidegate.config.declarations import walk
from tidegate.config.findings import Path
from tidegate.config.kinds import Kind, Ref, Secret
from tidegate.config.rules.subject import Subject
from tidegate.config.secrets import is_reference, reveal
from tidegate.config.section import Section

__all__ = ["check_names", "check_secrets"]


def check_names(subject: Subject, section: Section | None = None, prefix: Path = ()) -> None:
    """Each name in ``section``, absent: in the whole file, that refers to a table is declared there."""
    known = {table: subject.names(table) for table in ("upstreams", "filters", "auth", "limits", "redis", "cache")}
    for path, ref, name in walk(subject.gateway if section is None else section, Ref, prefix):
        if name not in known[ref.table]:
            what = ref.table if ref.table in ("redis", "cache") else ref.table.removesuffix("s")
            subject.unknown(path, what, name, known[ref.table])


def check_secrets(subject: Subject, section: Section, prefix: Path = ()) -> None:
    """Each secret in ``section`` is a reference that leads somewhere."""
    # Among the gateway's own options secrets are of one kind; a filter may have its own, and has few options.
    for path, kind, text in walk(section, Kind if prefix else Secret, prefix):
        if kind.is_secret and isinstance(text, str):
            subject.secrets[subject.shaped.original(path)] = text
    for path, _, text in walk(section, Secret, prefix):
        if not is_reference(text):
            subject.warn(path, 'is a secret in the open; write "env:NAME" or "file:PATH" and keep it there')
            continue
        try:
            reveal(text)
        except ValueError as error:
            subject.find(path, str(error))
