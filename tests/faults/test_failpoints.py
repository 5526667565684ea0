"""The failpoints: deadly where a test asks for one, and otherwise nothing at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.services.failpoints import NAMES

ROOT = Path(__file__).parents[2]
REACH = "from gateway.services.failpoints import reach; reach('polling'); print('alive')"


def reached(**variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMAGEGATE_")}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", REACH], cwd=ROOT, env={**clean, **variables}, capture_output=True, text=True, check=False
    )


def test_the_point_that_is_asked_for_kills_at_once() -> None:
    end = reached(IMAGEGATE_TESTING="1", IMAGEGATE_FAILPOINT="polling")
    assert (end.returncode, end.stdout) == (-signal.SIGKILL, "")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"IMAGEGATE_FAILPOINT": "polling"},
        {"IMAGEGATE_TESTING": "0", "IMAGEGATE_FAILPOINT": "polling"},
        {"IMAGEGATE_TESTING": "true", "IMAGEGATE_FAILPOINT": "polling"},
        {"IMAGEGATE_TESTING": "1"},
        {"IMAGEGATE_TESTING": "1", "IMAGEGATE_FAILPOINT": "after_send"},
    ],
    ids=str,
)
def test_nothing_happens_unless_testing_is_on_and_this_very_point_is_named(variables: dict[str, str]) -> None:
    end = reached(**variables)
    assert (end.returncode, end.stdout) == (0, "alive\n")


def test_every_point_stands_in_the_code_once() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "gateway").rglob("*.py")]
    assert {name: sum(source.count(f'reach("{name}")') for source in sources) for name in NAMES} == dict.fromkeys(
        NAMES, 1
    )
