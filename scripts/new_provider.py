"""`make provider name=acme`: a new adapter from the documented example, and its line in the registry."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from scripts.files import ROOT

EXAMPLE = ROOT / "tests/providers/made_up.py"
REGISTRY = ROOT / "providers/registry.py"
NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")


def adapter(name: str) -> str:
    """The example under another name."""
    source = EXAMPLE.read_text(encoding="utf-8")
    body = source[source.index("from __future__") :].replace("Acme", class_name(name)).replace("acme", name)
    return f'"""{class_name(name)}: say what it is, and name the pages that this file follows."""\n\n{body}'


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def registered(registry: str, name: str) -> str:
    """The registry with one import and one line more. Raises ValueError where it no longer looks as expected."""
    imported = f"from providers.{name} import {class_name(name)}\n"
    first = re.search(r"^from providers\.(?!base)", registry, re.MULTILINE)
    last = registry.rfind("\n}")
    if first is None or last < 0:
        raise ValueError("providers/registry.py: neither an adapter's import nor the end of the dict was found")
    with_line = f'{registry[:last]}\n    "{name}": {class_name(name)},{registry[last:]}'
    return f"{with_line[: first.start()]}{imported}{with_line[first.start() :]}"


def main(arguments: list[str], root: Path = ROOT) -> int:
    if len(arguments) != 1 or not NAME.fullmatch(arguments[0]):
        print("a provider's name is lower-case letters, digits and underscores, such as acme", file=sys.stderr)
        return 2
    (name,) = arguments
    path = root / "providers" / f"{name}.py"
    if path.exists():
        print(f"{path.relative_to(root)} is there already", file=sys.stderr)
        return 2
    registry = root / "providers/registry.py"
    changed = registered(registry.read_text(encoding="utf-8"), name)
    path.write_text(adapter(name), encoding="utf-8")
    registry.write_text(changed, encoding="utf-8")
    print(f"wrote {path.relative_to(root)} and its registry line; now docs/adding-a-provider.md, then make fix check")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
