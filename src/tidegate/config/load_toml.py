"""TOML: tomli says what the values are, tree-sitter where they were written.

tomli drops positions, tree-sitter keeps them but evaluates nothing; where the two disagree, tomli is right and a
position is that of the table around.
"""

import re
from collections.abc import Iterator
from typing import Any

import tomli
import tree_sitter
import tree_sitter_toml

from tidegate.config.findings import Finding, Path, format_path
from tidegate.config.load import DEEPEST, Position, Source

__all__ = ["parse"]

_LANGUAGE = tree_sitter.Language(tree_sitter_toml.language())
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})


def parse(source: Source) -> None:
    """Fills ``source`` from its text: the tree and a way to find positions, or a finding about the syntax."""
    tokens = source.text.encode()
    try:
        source.tree = tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        duplicates = list(_duplicates(tokens))
        if not duplicates:
            source.findings.append(_syntax(source, error))
            return
        source.findings += [_duplicate(source.file, tokens, *duplicate[:3]) for duplicate in duplicates]
        # The second of each pair is blanked out, so that what else is wrong is found at once too.
        blanked = bytearray(tokens)
        for *_, start, end in duplicates:
            blanked[start:end] = re.sub(rb"[^\n]", b" ", blanked[start:end])
        try:
            source.tree = tomli.loads(blanked.decode())
        except (tomli.TOMLDecodeError, RecursionError):
            return
    except RecursionError:
        source.findings.append(Finding(file=source.file, line=1, column=1, message="is nested too deeply"))
        return
    source.find_positions = lambda: _positions(tokens)


def _positions(tokens: bytes) -> dict[Path, Position]:
    found: dict[Path, Position] = {}
    for path, node in _Walk(tokens).nodes():
        place = _place(node, tokens)
        around = path
        while around and around not in found:  # the tables that a dotted key or a header implies begin there too
            found[around] = place
            around = around[:-1]
    return found


def _syntax(source: Source, error: tomli.TOMLDecodeError) -> Finding:
    text = str(error)
    place = _PLACE.search(text)
    line, column = source.text.count("\n") + 1, 1
    if place is not None and place[1]:
        line, column = int(place[1]), int(place[2])
    message = _PLACE.sub("", text)
    return Finding(
        file=source.file, line=line, column=column, message=f"is not TOML: {message[:1].lower()}{message[1:]}"
    )


def _duplicate(file: str, tokens: bytes, path: Path, node: tree_sitter.Node, first: tree_sitter.Node) -> Finding:
    line, column = _place(node, tokens)
    message = f"is given twice; first in line {first.start_point[0] + 1}"
    return Finding(file=file, path=format_path(path), line=line, column=column, message=message)


def _place(node: tree_sitter.Node, tokens: bytes) -> Position:
    row, column = node.start_point
    start = node.start_byte
    return row + 1, len(tokens[start - column : start].decode(errors="replace")) + 1


def _duplicates(tokens: bytes) -> Iterator[tuple[Path, tree_sitter.Node, tree_sitter.Node, int, int]]:
    walk = _Walk(tokens)
    firsts: dict[Path, tree_sitter.Node] = {}
    for path, node in walk.nodes():
        if node.type not in ("pair", "table"):
            continue
        if path in firsts:
            yield path, node, firsts[path], node.start_byte, node.end_byte
        else:
            firsts[path] = node


class _Walk:
    """One way through a syntax tree, giving each path the node that declares it."""

    def __init__(self, tokens: bytes) -> None:
        self.tokens = tokens
        self.lengths: dict[Path, int] = {}  # of the arrays of tables so far

    def nodes(self) -> Iterator[tuple[Path, tree_sitter.Node]]:
        root = tree_sitter.Parser(_LANGUAGE).parse(self.tokens).root_node
        for child in root.children:
            if child.type == "pair":
                yield from self._pair(child, ())
            elif child.type in ("table", "table_array_element"):
                yield from self._table(child)

    def _table(self, node: tree_sitter.Node) -> Iterator[tuple[Path, tree_sitter.Node]]:
        path = self._header(node)
        if path is None:
            return
        yield path, node
        for child in node.children:
            if child.type == "pair":
                yield from self._pair(child, path)

    def _header(self, node: tree_sitter.Node) -> Path | None:
        keys = next((self._keys(child) for child in node.children if child.type in _KEYS), None)
        if not keys:
            return None
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        path = (*path, keys[-1])
        if node.type == "table_array_element":
            self.lengths[path] = self.lengths.get(path, 0) + 1
            path = (*path, self.lengths[path] - 1)
        return path

    def _pair(self, node: tree_sitter.Node, path: Path) -> Iterator[tuple[Path, tree_sitter.Node]]:
        keys = self._keys(node.children[0]) if node.children else None
        if not keys:
            return
        path = (*path, *keys)
        yield path, node
        yield from self._value(node.children[-1], path)

    def _value(self, node: tree_sitter.Node, path: Path) -> Iterator[tuple[Path, tree_sitter.Node]]:
        if len(path) > DEEPEST + 1:
            return
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    yield from self._pair(child, path)
        elif node.type == "array":
            elements = (child for child in node.named_children if child.type != "comment")
            for index, child in enumerate(elements):
                yield (*path, index), child
                yield from self._value(child, (*path, index))

    def _keys(self, node: tree_sitter.Node) -> list[str] | None:
        if node.type == "dotted_key":
            parts = [self._keys(child) for child in node.named_children]
            return None if None in parts else [key for part in parts for key in part or ()]
        text = self.tokens[node.start_byte : node.end_byte].decode()
        if node.type == "bare_key":
            return [text]
        if node.type == "quoted_key":
            try:
                table: dict[str, Any] = tomli.loads(f"{text} = 0")
            except tomli.TOMLDecodeError:
                return None
            return list(table)
        return None
