"""The clients that the tests run come from no place that the repository names, in the versions that are on record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import check_tree
from scripts.node import without_addresses


def test_the_lock_of_npm_holds_what_package_json_asks_for() -> None:
    assert list(check_tree.in_npm_lock()) == []


@pytest.mark.parametrize(
    ("locked", "fault"),
    [
        ({"version": "1"}, "package.json asks for one 2, locked is 1: make lock"),
        ({"version": "2", "resolved": "one.tgz"}, "says where to download from"),
        ({"version": "2", "funding": {"url": "https://example.org"}}, "says where to download from"),
    ],
)
def test_a_lock_of_npm_is_held_to_the_same(
    locked: dict[str, Any], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tests/clients/js"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"dependencies": {"one": "2"}}))
    (folder / "package-lock.json").write_text(json.dumps({"packages": {"node_modules/one": locked}}))
    monkeypatch.setattr(check_tree, "ROOT", tmp_path)
    assert list(check_tree.in_npm_lock()) == [f"tests/clients/js/package-lock.json: {fault}"]


def test_a_lock_of_npm_is_written_without_addresses() -> None:
    lock = {"packages": {"a": {"resolved": "x", "version": "1"}, "b": {"funding": [{"url": "y"}], "cpu": ["z"]}}}
    assert without_addresses(lock) == {"packages": {"a": {"version": "1"}, "b": {"cpu": ["z"]}}}
