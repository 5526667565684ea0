"""Rooms stay small: no file past 400 lines, no function past 60 lines or 8 parameters, unless it argued its case.

Below that, files past 300 lines, functions past 40 lines and past 6 parameters are listed for the reader of a review.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.files import ROOT, files

ARGUED: Mapping[str, str] = {}
"""What may be larger, and why: `path` for a file, `path::function` for a function."""


@dataclass(frozen=True, slots=True)
class Limit:
    unit: str
    listed: int
    refused: int


FILE = Limit("lines", 300, 400)
FUNCTION = Limit("lines", 40, 60)
PARAMETERS = Limit("parameters", 6, 8)


@dataclass(frozen=True, slots=True)
class Finding:
    place: str
    count: int
    limit: Limit

    @property
    def refused(self) -> bool:
        return self.count > self.limit.refused and self.place not in ARGUED

    def __str__(self) -> str:
        verdict = f"   <- past {self.limit.refused}" if self.refused else ""
        return f"{self.count:5} {self.limit.unit:<10} {self.place}{verdict}"


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a caller sees."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def measured(place: str, source: str) -> Iterator[Finding]:
    """Everything in one source past a listed size."""
    sizes = [Finding(place, len(source.splitlines()), FILE)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            sizes.append(Finding(f"{place}::{node.name}", lines, FUNCTION))
            sizes.append(Finding(f"{place}::{node.name}", parameters(node), PARAMETERS))
    return (size for size in sizes if size.count > size.limit.listed)


def main() -> int:
    sources = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files("*.py")}
    findings = [size for name, source in sources.items() for size in measured(name, source)]
    for finding in sorted(findings, key=lambda finding: (finding.limit.unit, -finding.count)):
        print(finding)
    print(f"{len(sources)} files, {len(findings)} places to look at")
    gone = [place for place in ARGUED if place.split("::")[0] not in sources]
    if gone:
        print(f"argued for in scripts/check_sizes.py, but no longer there: {', '.join(gone)}")
    return 1 if gone or any(finding.refused for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
