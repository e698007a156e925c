"""User regexes in RE2, whose cost is linear in the text whatever the regex (https://github.com/google/re2/wiki).

RE2 is loaded with the first regex: it is 2.5 MB of each worker, and most configurations have none.
"""

from typing import Protocol

__all__ = ["Found", "Regex", "compile_regex", "named_groups"]


class Found(Protocol):
    """Where a regex matched."""

    def span(self, group: int = ..., /) -> tuple[int, int]: ...
    def expand(self, template: bytes, /) -> bytes: ...


class Regex(Protocol):
    """A compiled regex over bytes."""

    groups: int
    groupindex: dict[bytes, int]

    def search(self, text: bytes, /) -> Found | None: ...


def compile_regex(text: str) -> Regex:
    """The regex over bytes, whatever their encoding; ValueError when RE2 refuses it (look-around, back-references)."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        regex: Regex = re2.compile(text.encode(), options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(f'RE2 does not take the regex "{text}": {reason}') from error
    return regex


def named_groups(regex: Regex) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The names of its groups and their numbers, in the order in which they stand in the regex."""
    groups = sorted(regex.groupindex.items(), key=lambda item: item[1])
    return tuple(name.decode() for name, _ in groups), tuple(number for _, number in groups)
