"""All checks of `make check`, two at a time, each reported with its time; fails when one of them does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.files import ROOT
from scripts.test_needs import NEEDS

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    command: tuple[str, ...]


def checks() -> list[Check]:
    """The slowest first, so that the others run beside it."""
    ours = ("docs", "licences", "sizes", "tree")
    listed = [
        Check("types", (str(BIN / "mypy"),)),
        Check("lint", (str(BIN / "ruff"), "check", ".")),
        Check("format", (str(BIN / "ruff"), "format", "--check", ".")),
        Check("layers", (str(BIN / "lint-imports"),)),
        *(Check(name, (sys.executable, "-m", f"scripts.check_{name}")) for name in ours),
    ]
    nginx = NEEDS["nginx"].path()
    if nginx is None:
        print("not run: nginx -t over deploy/nginx.conf, there is no nginx on this machine")
        return listed
    # Its own files go nowhere: the configuration is only read.
    where = ("-e", "stderr", "-g", "pid /dev/null; error_log stderr;")
    return [*listed, Check("nginx", (nginx, "-t", "-q", *where, "-c", str(ROOT / "deploy/nginx.conf")))]


def run(check: Check) -> tuple[Check, subprocess.CompletedProcess[str], float]:
    begun = time.monotonic()
    done = subprocess.run(
        check.command,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return check, done, time.monotonic() - begun


def main() -> int:
    failed = []
    with ThreadPoolExecutor(2) as pool:
        for check, done, seconds in pool.map(run, checks()):
            print(f"{'ok    ' if done.returncode == 0 else 'FAILED'}  {check.name:<9} {seconds:5.1f} s", flush=True)
            if done.returncode:
                failed.append(check.name)
                print(done.stdout.rstrip(), flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
