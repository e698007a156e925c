"""The permits of a key in the store as Python has them, to play fleets with: ``test_scripts_permits`` compares them."""

from __future__ import annotations

from dataclasses import dataclass, field

TURNS = 1 << 24


@dataclass(slots=True)
class Entry:
    """What the store knows of a node."""

    lent: int
    used: int
    heard_ms: int
    turn: int


@dataclass(slots=True)
class PermitBook:
    """All nodes of one key; ``short``: which was refused last what it needs of its part, when, and how much."""

    entries: dict[str, Entry] = field(default_factory=dict)
    short: tuple[str, int, int] | None = None

    def hold(self, now_ms: int, maximum: int, node: str, *words: int) -> tuple[int, int, int, int]:
        """What ``scripts.hold_permits`` answers at ``now_ms``; ``words``: what it takes after the node."""
        turn, life_ms, used, needed, wanted = words
        self.entries = {name: one for name, one in self.entries.items() if one.heard_ms > now_ms - life_ms}
        others = [one for name, one in self.entries.items() if name != node]
        for one in others:
            one.heard_ms = min(one.heard_ms, now_ms)
        nodes = len(others) + 1
        own = self.entries.get(node)
        if own is not None and 0 < (own.turn - turn) % TURNS < TURNS // 2:
            return -1, nodes, 0, 0
        is_own, missing, missed_at = False, 0, 0
        if self.short is not None:
            who, at, how_many = self.short
            is_own = who == node
            if now_ms - at < 2000:
                missing, missed_at = 0 if is_own else how_many, at
        left = max(0, maximum - sum(max(one.lent, one.used) for one in others))
        lent = min(wanted, max(left - missing, min(left, own.lent if own else 0), 0))
        if lent or used or needed:
            self.entries[node] = Entry(lent, used, now_ms, turn)
        else:
            self.entries.pop(node, None)
        misses = min(needed, max(1, maximum // nodes) if maximum else 0) - max(lent, used)
        if misses > 0:
            self.short = node, now_ms, misses
        elif is_own:
            self.short = None
        return lent, nodes, missing, missed_at
