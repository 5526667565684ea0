"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 4000
"""Columns of output that no terminal shows: wide enough to keep every row on one line for grep."""


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, coloured only on a terminal that wants colour; cells are printed as they are."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", highlight=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    plain_console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def plain_console(*, width: int | None = None) -> Console:
    """Where commands print: what stands in brackets or between colons is text, for a prompt or a name may hold both."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=width)
