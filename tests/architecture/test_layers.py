"""The rooms keep to their walls: what each may import, what each may name."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.files import ROOT, files

ROOMS = ("gateway", "providers", "normalization")
HALVES = {"pydantic_core": "pydantic"}
"""Packages that are part of another one, and pinned by it."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the product by its path."""
    found = files(*(f"{room}/*.py" for room in ROOMS))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in found}


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, at any depth of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are prose: docstrings, and the texts below a constant or a field."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def words(tree: ast.Module) -> Iterator[str]:
    """Every string and name of a module, prose left out."""
    prose = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stdout


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []


@pytest.mark.parametrize("word", ["fluxParams", "promptObject", "aiRecord", "temporaryUrl"])
def test_the_words_of_one_providers_wire_stay_in_its_file(word: str) -> None:
    elsewhere = {name: tree for name, tree in modules().items() if not name.startswith("providers/")}
    assert [name for name, tree in elsewhere.items() if any(word in each for each in words(tree))] == []


def test_no_room_is_called_by_what_it_is_not() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)(_|$)")
    assert [name for name in modules() if any(vague.search(Path(part).stem) for part in Path(name).parts)] == []


def test_what_is_imported_is_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name, extra in project["optional-dependencies"].items() if name != "dev" for line in extra]
    asked = {canonicalize_name(Requirement(line).name) for line in [*project["dependencies"], *extras]}
    owners = packages_distributions()
    unasked = {
        f"{name} imports {package}"
        for name, tree in modules().items()
        for package in {each.split(".")[0] for each in imported(tree)}
        if package not in sys.stdlib_module_names
        and package not in ROOMS
        and not asked & {canonicalize_name(owner) for owner in owners.get(HALVES.get(package, package), [package])}
    }
    assert unasked == set()


def test_only_the_command_line_prints() -> None:
    printing = [
        name
        for name, tree in modules().items()
        if any(isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print" for node in ast.walk(tree))
    ]
    assert [name for name in printing if not name.startswith(("gateway/cli", "providers/flux_worker/worker"))] == []


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `statement`."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    # Where coverage measures the processes that tests start, it brings modules of its own along.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=env
    )
    return set(done.stdout.split())


def test_adapters_are_imported_without_an_http_client() -> None:
    adapters = loaded_by("import providers.registry as registry; registry.PROVIDERS")
    assert adapters & {"httpx", "aiohttp", "httpx_aiohttp", "starlette", "asyncio"} == set()


def test_normalization_is_imported_without_a_server_or_a_loop() -> None:
    loaded = loaded_by("import normalization.planner, normalization.reading")
    assert loaded & {"httpx", "aiohttp", "starlette", "uvicorn", "asyncio", "sqlite3", "PIL"} == set()


def test_every_registered_provider_is_kept_apart_from_the_others() -> None:
    from providers.registry import PROVIDERS

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    independent = next(contract["modules"] for contract in contracts if contract["type"] == "independence")
    rooms = {".".join(adapter.__module__.split(".")[:2]) for adapter in PROVIDERS.values()}
    assert rooms <= set(independent)


def test_knowing_every_provider_loads_neither_codecs_nor_models_of_bodies_nor_an_http_client() -> None:
    program = "import sys, providers.registry; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "providers" in loaded
    assert not {"PIL", "pydantic", "httpx", "aiohttp", "starlette"} & set(loaded)
