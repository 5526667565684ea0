"""What must not be in the repository or in its environment.

* an address of a package index or of one machine's folders: the project builds wherever it is checked out;
* anything shaped like a credential;
* a lock file that lags behind pyproject.toml, or that says where to download from;
* a `.pth` file that nobody expects: Python runs them at every start, which is how stolen packages have spread.
"""

from __future__ import annotations

import json
import re
import site
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.files import ROOT, files

INDEX = re.compile(r"https?://[^/\s\"'`)]*\b(pypi|pythonhosted|npmjs|debian|ubuntu)\b", re.IGNORECASE)
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bsk-(proj-)?[A-Za-z0-9_-]{32,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}|\b(afk|lmnfl)_[A-Za-z0-9.]{16,}"
)
ADDRESS = re.compile(r"://|^\s*(--|-[a-z] )(?!hash)|\bfile:| @ ", re.MULTILINE)
LARGEST = 1024 * 1024

EXPECTED_PTH = (
    r"a1_coverage\.pth",  # coverage: measures the processes that tests start
    r"distutils-precedence\.pth",  # setuptools
    r"__editable__\.imagegate-.*\.pth",  # ourselves
    r"_virtualenv\.pth",
)


def places_of_this_machine() -> list[str]:
    """Folders that only this machine has."""
    shared = {"/", "/usr", "/usr/local", "/root", "/tmp", "/opt"}  # noqa: S108  # compared with, never written to
    return sorted({str(ROOT), str(Path.home()), sys.base_prefix} - shared)


def in_files() -> Iterator[str]:
    places = places_of_this_machine()
    for path in files():
        name, data = str(path.relative_to(ROOT)), path.read_bytes()
        if len(data) > LARGEST:
            yield f"{name}: {len(data) // 1024} KiB; more than 1 MiB does not belong into git"
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            where = f"{name}:{number}"
            if INDEX.search(line):
                yield f"{where}: the address of a package index"
            if any(place in line for place in places):
                yield f"{where}: a path of this machine"
            if SECRETS.search(line) and not name.startswith("tests/"):
                yield f"{where}: looks like a credential"


def pinned(lock: str) -> dict[str, str]:
    """Name to version of every pin."""
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    }


def in_locks() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        "runtime": project["project"]["dependencies"],
        "dev": project["project"]["dependencies"] + project["project"]["optional-dependencies"]["dev"],
        "build": project["build-system"]["requires"],
        **{f"client-{name}": client for name, client in project.get("dependency-groups", {}).items()},
    }
    for name, requirements in wanted.items():
        path = f"requirements/{name}.txt"
        lock = (ROOT / path).read_text(encoding="utf-8")
        if ADDRESS.search(lock):
            yield f"{path}: says where to download from"
        pins = pinned(lock)
        for requirement in map(Requirement, requirements):
            version = pins.get(canonicalize_name(requirement.name))
            if version is None or version not in requirement.specifier:
                yield f"{path}: pyproject.toml asks for {requirement}, locked is {version or 'nothing'}: make lock"
    runtime, dev = (
        pinned((ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")) for name in ("runtime", "dev")
    )
    apart = [name for name, version in runtime.items() if dev.get(name) != version]
    if apart:
        yield f"requirements: tests would run with other versions than the service of {', '.join(apart)}: make lock"


def in_npm_lock() -> Iterator[str]:
    """The same of the clients that come from npm."""
    path = "tests/clients/js/package-lock.json"
    text = (ROOT / path).read_text(encoding="utf-8")
    if ADDRESS.search(text) or '"resolved"' in text:
        yield f"{path}: says where to download from"
    wanted = json.loads((ROOT / path).with_name("package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads(text)["packages"]
    for name, version in wanted.items():
        locked = packages.get(f"node_modules/{name}", {}).get("version")
        if locked != version:
            yield f"{path}: package.json asks for {name} {version}, locked is {locked or 'nothing'}: make lock"


def started_by_python() -> Iterator[str]:
    for folder in site.getsitepackages():
        for found in Path(folder).glob("*.pth"):
            if not any(re.fullmatch(expected, found.name) for expected in EXPECTED_PTH):
                yield f"{found.name} in site-packages runs at every start of Python and nobody expects it"


def main() -> int:
    faults = [*in_files(), *in_locks(), *in_npm_lock(), *started_by_python()]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
