"""`make provider name=acme`: a new adapter from the documented example, its line in the registry, the promise that it
imports no other adapter, and recorded replies to begin with. `make golden` then writes its requests, and every test of
the registry runs over it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from scripts.files import ROOT

EXAMPLE = ROOT / "tests/providers/made_up.py"
REPLIES = ROOT / "tests/providers/made_up_replies.json"
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


def kept_apart(project: str, name: str) -> str:
    """pyproject.toml with the adapter among those that never import each other. Raises ValueError where the contract is
    not found."""
    contract = re.search(r'type = "independence"\nmodules = \[\n((?: {4}"[\w.]+",\n)+)\]', project)
    if contract is None:
        raise ValueError("pyproject.toml: the contract that adapters never import each other was not found")
    lines = sorted([*contract[1].splitlines(), f'    "providers.{name}",'])
    return project[: contract.start(1)] + "\n".join(lines) + "\n" + project[contract.end(1) :]


def main(arguments: list[str], root: Path = ROOT) -> int:
    if len(arguments) != 1 or not NAME.fullmatch(arguments[0]):
        print("a provider's name is lower-case letters, digits and underscores, such as acme", file=sys.stderr)
        return 2
    (name,) = arguments
    path = root / "providers" / f"{name}.py"
    if path.exists() or path.with_suffix("").exists():
        print(f"{path.relative_to(root)} is there already", file=sys.stderr)
        return 2
    registry, project = root / "providers/registry.py", root / "pyproject.toml"
    replies = root / "tests/wire" / name / "replies.json"
    replies.parent.mkdir(parents=True, exist_ok=True)
    written = {
        registry: registered(registry.read_text(encoding="utf-8"), name),
        project: kept_apart(project.read_text(encoding="utf-8"), name),
        path: adapter(name),
        replies: REPLIES.read_text(encoding="utf-8"),
    }
    for file, text in written.items():
        file.write_text(text, encoding="utf-8")
    print(f"wrote {', '.join(str(file.relative_to(root)) for file in written)}")
    print("now docs/adding-a-provider.md, then: make fix golden docs check test")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
