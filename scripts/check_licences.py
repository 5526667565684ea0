"""Every distribution that `imagegate` installs has a licence that permits using it in a service.

Walks the closure of pyproject's dependencies through the installed metadata, so that a licence that changes with an
upgrade, or a dependency of a dependency, is seen on the day it arrives.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.files import ROOT

PERMITTED = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-0",
        "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
        # As libraries that are imported and can be exchanged, these ask nothing of the program.
        "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
    }
)  # fmt: skip
"""SPDX identifiers."""

NAMES: Mapping[str, str] = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.1-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "historical permission notice and disclaimer (hpnd)": "HPND",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
"""Names that classifiers and older metadata use, in lower case."""

TEXTS = (
    ("Neither the name of the copyright holder", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Apache License Version 2.0", "Apache-2.0"),
)
"""What gives a licence away where its whole text stands in the metadata; the first that fits."""


def permitted(expression: str) -> bool:
    """Whether an SPDX expression permits the use: of an `OR` one side is enough, of an `AND` both must.

    Anything that is no valid expression is not permitted.
    """
    try:
        canonical = canonicalize_license_expression(expression)
    except InvalidLicenseExpression:
        return False
    held = re.sub(
        r"[\w.+-]+( WITH [\w.+-]+)?",
        lambda word: word[0].lower() if word[0] in ("AND", "OR") else str(word[0] in PERMITTED),
        canonical,
    )
    return holds(ast.parse(held, mode="eval").body)


def holds(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool(value)):
            return value
        case ast.BoolOp(op=ast.And()):
            return all(holds(value) for value in node.values)
        case ast.BoolOp(op=ast.Or()):
            return any(holds(value) for value in node.values)
        case other:
            raise ValueError(f"not made of True, False, and, or: {ast.dump(other)}")


def licence(found: Distribution) -> str:
    """What a distribution says of its licence: its expression, else its classifiers, else its text; "" for nothing.
    Several classifiers are several licences to choose from."""
    metadata = found.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    lines = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License :: ")]
    names = [line.split(" :: ")[-1] for line in lines]
    if names:
        return " OR ".join(NAMES.get(name.lower(), f"unknown-{name}".replace(" ", "-")) for name in names)
    text = " ".join(metadata["License"].split()) if "License" in metadata else ""
    by_text = next((name for phrase, name in TEXTS if phrase in text), None)
    return by_text or NAMES.get(text.lower(), text[:60])


def needed(requirements: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Those of `requirements` that this platform installs."""
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Every distribution reached from `requirements`, by name. Raises PackageNotFoundError for one not installed."""
    found: dict[str, Distribution] = {}
    walked: set[tuple[str, tuple[str, ...]]] = set()
    waiting = list(needed(requirements))
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), tuple(sorted(requirement.extras))
        if (name, extras) in walked:
            continue
        walked.add((name, extras))
        found[name] = distribution(name)
        waiting.extend(needed(found[name].requires or [], extras))
    return dict(sorted(found.items()))


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    refused = []
    try:
        installed = closure(project["dependencies"])
    except PackageNotFoundError as error:
        print(f"{error.name} is not installed: make setup")
        return 1
    for name, found in installed.items():
        said = licence(found)
        good = permitted(said)
        print(f"{name:<24} {found.version:<12} {said or 'says nothing'}{'' if good else '   <- refused'}")
        refused += [] if good else [name]
    if refused:
        print(f"the list of permitted licences in scripts/check_licences.py has none of: {', '.join(refused)}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
