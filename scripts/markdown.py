"""Markdown, written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; None is an empty cell, a pipe is escaped."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join("" if cell is None else str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heads), "|" + "---|" * len(heads), *map(line, rows)])


def code(values: Iterable[object]) -> str:
    """`one`, `two`."""
    return ", ".join(f"`{value}`" for value in values)
