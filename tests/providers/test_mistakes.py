"""Every mistake of the table is caught by tests that are there, or cannot be made."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.providers.mistakes import ASKING
from tests.providers.mistakes_answering import ANSWERING

TESTS = Path(__file__).parents[1]

MISTAKES = {**ASKING, **ANSWERING}


@cache
def functions_of(file: str) -> frozenset[str]:
    """The test functions of a file below tests/, as they are written."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_mistake_is_in_the_table_once() -> None:
    assert list(MISTAKES) == list(range(1, 75))
    assert len({mistake.wrong for mistake in MISTAKES.values()}) == len(MISTAKES)


@pytest.mark.parametrize("number", MISTAKES)
def test_a_mistake_is_caught_by_a_test_or_cannot_be_made(number: int) -> None:
    mistake = MISTAKES[number]
    assert bool(mistake.tests) != bool(mistake.because)
    for name in mistake.tests:
        file, _, function = name.partition("::")
        assert function.startswith("test_")
        assert function in functions_of(file), f"{name} is gone: which test catches this now?"
