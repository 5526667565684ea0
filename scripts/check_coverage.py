"""How much of the code the tests ran, against a floor: pure code has no excuse, glue has some.

A run that left tests out covers less, so the floors hold only where nothing may be left out: with CI=true.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping

from coverage import Coverage
from coverage.exceptions import NoDataError

FLOORS: Mapping[str, float] = {"normalization": 100.0, "": 95.0}
"""Percent of lines and branches, by package; "" is everything."""


def covered(coverage: Coverage, package: str, out: io.StringIO) -> float:
    """Percent of `package`, its files with gaps written to `out`."""
    include = f"*/{package}/*" if package else None
    return coverage.report(include=include, file=out, precision=1)


def main() -> int:
    coverage = Coverage()
    coverage.load()
    below = []
    for package, floor in FLOORS.items():
        name, out = package or "everything", io.StringIO()
        try:
            percent = covered(coverage, package, out)
        except NoDataError:
            print(f"coverage of {name}: nothing was run")
            continue
        if not package:
            print(out.getvalue().rstrip())
        print(f"coverage of {name}: {percent:.1f} % of lines and branches, the floor is {floor:g} %")
        below += [name] if round(percent, 1) < floor else []
    enforced = os.environ.get("CI") == "true"
    if below and enforced:
        print(f"below its floor: {', '.join(below)}")
    return 1 if below and enforced else 0


if __name__ == "__main__":
    sys.exit(main())
