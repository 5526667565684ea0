"""Covering designs: few rows in which every value of every factor meets every value of every other one.

Greedy and deterministic: a row is built around the first pair that no earlier row has, and every further factor gets
the value that covers the most pairs still open. Where nothing is left to cover, values are mixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from zlib import crc32

Row = Mapping[str, str]
"""A value, by its name, for each factor."""

Pair = tuple[tuple[str, str], tuple[str, str]]
"""Two factors with a value each, in the order of the factors."""


def covering(factors: Mapping[str, Sequence[str]], usual: Mapping[str, str] | None = None) -> list[Row]:
    """Rows that cover all pairs of the factors' values. Values are names, unique within their factor; `usual` is what a
    factor gets where it need not be anything else."""
    names = list(factors)
    left = dict.fromkeys(all_pairs(factors))
    rows: list[Row] = []
    while left:
        row = dict(next(iter(left)))
        for name in sorted((name for name in names if name not in row), key=lambda name: -len(factors[name])):
            covers = {
                value: _covered(name, value, row, left, names) for value in _mixed(factors[name], name, len(rows))
            }
            best = max(covers, key=covers.__getitem__)
            row[name] = best if covers[best] or usual is None else usual.get(name, best)
        for pair in pairs_of(row, names):
            left.pop(pair, None)
        rows.append({name: row[name] for name in names})
    return rows


def all_pairs(factors: Mapping[str, Sequence[str]]) -> Iterator[Pair]:
    for one, other in combinations(factors, 2):
        for value, with_value in product(factors[one], factors[other]):
            yield (one, value), (other, with_value)


def pairs_of(row: Row, names: Sequence[str]) -> Iterator[Pair]:
    """The pairs that a row covers; `names` is the order of the factors."""
    return combinations([(name, row[name]) for name in names if name in row], 2)


def _mixed(values: Sequence[str], name: str, turn: int) -> list[str]:
    """The values, another one first in each row and for each factor."""
    first = crc32(f"{name} {turn}".encode()) % len(values)
    return [*values[first:], *values[:first]]


def _covered(name: str, value: str, row: Row, left: Mapping[Pair, None], names: Sequence[str]) -> int:
    """How many open pairs a row covers with one more value."""
    mine, place = (name, value), names.index(name)
    return sum(
        (((other, taken), mine) if names.index(other) < place else (mine, (other, taken))) in left
        for other, taken in row.items()
    )
