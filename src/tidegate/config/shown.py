"""A configuration as it may be shown: its values as they were written, secrets as digests.

A digest is keyed with a secret of the gateway, so that nobody who sees it can try passwords against it. In what is sent
back it stands for the secret that it was made of: an operator can change a configuration without ever seeing them.
"""

import copy
import difflib
import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate.config.findings import Path

__all__ = ["difference", "digest", "masked", "restored", "shown"]

_DIGEST = re.compile(r"digest:[0-9a-f]{24}")
_DIFFERENCE_MAX = 64 << 10  # characters that are kept of one
_COMPARED_MAX = 20_000  # lines that are compared line by line; beyond, only what is common at both ends is found


def digest(secret: str, key: bytes) -> str:
    """What is shown in place of ``secret``."""
    return f"digest:{hmac.new(key, secret.encode('utf-8', 'surrogatepass'), hashlib.sha256).hexdigest()[:24]}"


def masked(tree: Any, secrets: Iterable[Path], key: bytes) -> Any:
    """``tree`` with a digest at each path of ``secrets``."""
    paths = list(secrets)
    if not paths:
        return tree
    tree = copy.deepcopy(tree)
    for path in paths:
        holder = tree
        try:
            for part in path[:-1]:
                holder = holder[part]
            if isinstance(holder[path[-1]], str):
                holder[path[-1]] = digest(holder[path[-1]], key)
        except (KeyError, IndexError, TypeError):
            continue
    return tree


def restored(text: str, tree: Any, secrets: Iterable[Path], key: bytes) -> str:
    """``text`` with every digest of a secret that ``tree`` has at ``secrets`` replaced by that secret.

    Written as a basic string of TOML or JSON, which is how a digest is written too.
    """
    if "digest:" not in text:
        return text
    known = {}
    for path in secrets:
        value = tree
        try:
            for part in path:
                value = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        if isinstance(value, str):
            known[digest(value, key)] = json.dumps(value)[1:-1]
    return _DIGEST.sub(lambda found: known.get(found[0], found[0]), text)


def shown(tree: Any) -> str:
    """A masked tree as JSON, one value a line."""
    return msgspec.json.format(msgspec.json.encode(tree), indent=1).decode() + "\n"


def difference(before: str, after: str, names: tuple[str, str]) -> str:
    """A unified diff of two shown configurations; "" when they are equal, cut when it is very long."""
    if before == after:
        return ""
    one, other = before.splitlines(), after.splitlines()
    # What is common at both ends is most of a large configuration, and difflib's time grows with the square.
    first = 0
    while first < min(len(one), len(other)) and one[first] == other[first]:
        first += 1
    last = 0
    while last < min(len(one), len(other)) - first and one[-1 - last] == other[-1 - last]:
        last += 1
    first, last = max(0, first - 3), max(0, last - 3)
    one, other = one[first : len(one) - last], other[first : len(other) - last]
    if len(one) + len(other) > _COMPARED_MAX:
        return f"--- {names[0]}\n+++ {names[1]}\n@@ from line {first + 1}: {len(one)} lines are now {len(other)} @@\n"
    lines = [
        _moved(line, first) if line.startswith("@@") else line
        for line in difflib.unified_diff(one, other, *names, lineterm="")
    ]
    told = "\n".join(lines) + "\n"
    return told if len(told) <= _DIFFERENCE_MAX else told[:_DIFFERENCE_MAX] + "\n… and more\n"


def _moved(header: str, by: int) -> str:
    """A hunk's header with line numbers of the whole."""
    return re.sub(r"([-+])(\d+)", lambda found: f"{found[1]}{int(found[2]) + by}", header)
