"""Weights for the worker's tests: built once, whatever the number of processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # Libraries under torch deprecate things of each other's while they are imported.
    warnings.simplefilter("ignore")
    import diffusers
    import torch
    import transformers

torch.set_num_threads(1)
diffusers.logging.set_verbosity_error()
transformers.logging.set_verbosity_error()


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "tiny"


@pytest.fixture(scope="session")
def weights(tiny_root: Path) -> Callable[[str], Path]:
    """The folder of a kind of tiny.KINDS."""
    from tests.worker.weights import tiny_folder

    return lambda kind: tiny_folder(tiny_root, kind)
