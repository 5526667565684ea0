"""The Node that runs the clients of npm: the machine's own where it is recent enough, else the packaged one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import node


def script(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing of Node on it yet."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(node, "PACKAGED", tmp_path / "packaged")
    return tmp_path


def package(machine: Path) -> Path:
    script(machine / "packaged/lib/node_modules/npm/bin/npm-cli.js", "11.0.0")
    return script(machine / "packaged/bin/node", "v24.1.0")


@pytest.mark.parametrize(("version", "own"), [("v22.0.0", True), ("v24.3.1", True), ("v20.20.2", False), ("?", False)])
def test_the_machines_node_is_used_where_it_is_recent_enough(machine: Path, version: str, own: bool) -> None:
    packaged = package(machine)
    mine = script(machine / "bin/node", version)
    script(machine / "bin/npm", "11.0.0")
    found = node.found()
    assert found is not None
    assert found.program == (mine if own else packaged)


def test_a_node_without_npm_is_not_enough(machine: Path) -> None:
    script(machine / "bin/node", "v24.0.0")
    assert node.found() is None
    package(machine)
    found = node.found()
    assert found is not None
    assert found.npm[0] == str(found.program)
