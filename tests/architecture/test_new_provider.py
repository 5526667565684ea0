"""`make provider` writes an adapter that works as it stands, and registers it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scripts import new_provider


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "providers").mkdir()
    registry = new_provider.REGISTRY.read_text(encoding="utf-8")
    (tmp_path / "providers/registry.py").write_text(registry, encoding="utf-8")
    return tmp_path


def test_a_new_provider_is_a_file_and_a_line(root: Path) -> None:
    assert new_provider.main(["neon_ink"], root) == 0
    made: dict[str, object] = {}
    exec(compile((root / "providers/neon_ink.py").read_text(), "neon_ink.py", "exec"), made)  # noqa: S102
    assert "NeonInk" in made
    registry = (root / "providers/registry.py").read_text()
    assert '    "neon_ink": NeonInk,\n}' in registry
    assert "from providers.neon_ink import NeonInk\n" in registry
    ast.parse(registry)


@pytest.mark.parametrize("arguments", [[], ["Two Words"], ["../up"], ["a", "b"]])
def test_a_name_that_is_none_is_refused(root: Path, arguments: list[str]) -> None:
    assert new_provider.main(arguments, root) == 2
    assert [path.name for path in (root / "providers").iterdir()] == ["registry.py"]


def test_a_provider_that_is_there_is_not_written_over(root: Path) -> None:
    (root / "providers/acme.py").write_text("mine")
    assert new_provider.main(["acme"], root) == 2
    assert (root / "providers/acme.py").read_text() == "mine"
