"""Figures as text: columns as wide as they must be, numbers to the right, words to the left."""

from collections.abc import Mapping, Sequence

GAP = "  "


def render(rows: Sequence[Mapping[str, str]]) -> str:
    """A table of rows with the same keys; the first column is left-aligned, the others are right-aligned."""
    if not rows:
        return "(nothing measured)"
    columns = list(rows[0])
    widths = {c: max(len(c), *(len(row.get(c, "")) for row in rows)) for c in columns}

    def line(cells: Mapping[str, str]) -> str:
        texts = [
            cells.get(c, "").ljust(widths[c]) if i == 0 else cells.get(c, "").rjust(widths[c])
            for i, c in enumerate(columns)
        ]
        return GAP.join(texts).rstrip()

    rule = GAP.join("-" * widths[c] for c in columns)
    return "\n".join([line({c: c for c in columns}), rule, *(line(row) for row in rows)])


def count(value: float) -> str:
    """A large number with thousands separated."""
    return f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """A ratio with two decimals, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def percent(share: float) -> str:
    """A share as whole percent."""
    return f"{share:.0%}"


def spread(share: float) -> str:
    """A relative spread."""
    return f"±{share:.1%}"


def megabytes(size: float) -> str:
    """Bytes as MB with one decimal."""
    return f"{size / 1e6:.1f} MB"
