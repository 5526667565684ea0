"""The heap keeps its pages while there is work, and gives them back when there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.services import heap

ROOT = Path(__file__).parents[2]
MEASURE = """
from gateway.services import heap
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
assert heap.keep()
before = resident()
blocks = [b"x" * 2_000_000 for _ in range(40)]
del blocks
kept = resident() - before
heap.release()
print(kept, resident() - before)
"""


def test_pages_are_kept_until_they_are_released() -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept, left = map(int, done.stdout.split())
    assert kept > 70_000_000
    assert left < 10_000_000


def test_where_there_is_no_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not heap.keep()
    assert not heap.release()


def test_what_was_built_at_the_start_is_not_looked_through_again() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import gc; from gateway.services import heap; kept = [[] for _ in range(1000)]; heap.settle(); "
            "print(gc.get_freeze_count() > 1000, gc.isenabled())",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "True"]
