"""`make provider name=...`: what it writes passes every test of the registry from the first minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import new_provider

ROOT = Path(__file__).parents[2]
ROOMS = ("normalization", "providers", "gateway", "tests", "scripts")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the repository, as far as a provider needs it."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def in_checkout(checkout: Path, *command: str, **environ: str) -> str:
    # Neither measured nor taken for one of our own workers: the copy is gone before anybody would read of it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTEST"))}
    env = {**inherited, "PYTHONPATH": str(checkout), **environ}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *command], cwd=checkout, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_provider_passes_the_contract_of_the_registry(checkout: Path) -> None:
    assert new_provider.main(["big_picture"], checkout) == 0
    contract = ("pytest", "-q", "-p", "no:cacheprovider", "tests/providers/test_contract.py", "-k", "big_picture")
    in_checkout(checkout, *contract, "-k", "big_picture and on_record", IMAGEGATE_GOLDEN="write")
    assert " passed" in in_checkout(checkout, *contract)
    in_checkout(checkout, "ruff", "check", "--fix", "--quiet", "providers/big_picture.py", "providers/registry.py")
    in_checkout(checkout, "ruff", "format", "--check", "providers/big_picture.py", "providers/registry.py")
    assert '    "providers.big_picture",\n' in (checkout / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["", "Acme", "9lives", "a-b", "apiframe", "../x"])
def test_a_name_that_is_none_or_is_taken_writes_nothing(name: str, checkout: Path) -> None:
    before = (checkout / "providers/registry.py").read_bytes()
    assert new_provider.main([name], checkout) == 2
    assert (checkout / "providers/registry.py").read_bytes() == before
