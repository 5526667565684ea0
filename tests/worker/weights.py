"""Tiny pipelines for a session of tests: each is built once, and loaded as the worker loads real ones."""

from __future__ import annotations

import fcntl
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import torch
from PIL import Image

from providers.flux_worker.worker.caching import FirstBlocks
from providers.flux_worker.worker.embeddings import Embeddings
from providers.flux_worker.worker.families import load_family
from providers.flux_worker.worker.families.family import Family
from providers.flux_worker.worker.folders import recognise
from providers.flux_worker.worker.work import Work
from tests.worker import tiny


def tiny_folder(root: Path, kind: str) -> Path:
    """The folder of this kind, built by whichever process comes first."""
    root.mkdir(exist_ok=True)
    folder = root / kind
    with (root / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = root / f"{kind}.{os.getpid()}"
            tiny.build(kind, made)
            made.rename(folder)
    return folder


def copied(folder: Path, to: Path) -> Path:
    """A copy to take things out of."""
    return Path(shutil.copytree(folder, to / folder.name))


@cache
def pipeline(folder: Path) -> Any:
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def family(folder: Path, threshold: float = 0.0) -> Family:
    """Over weights of its own state, but the same tensors."""
    kind = recognise(str(folder)).kind
    return load_family(pipeline(folder), kind, "cpu", Embeddings(1 << 26), FirstBlocks(threshold))


def picture(seed: int, width: int = 128, height: int = 128) -> Image.Image:
    """Colours that change over the picture, so that a shift or a swap is seen."""
    at = [(row, column) for row in range(height) for column in range(width)]
    colours = bytes((column * (seed + 1) + row * (channel + 2)) % 256 for row, column in at for channel in range(3))
    return Image.frombytes("RGB", (width, height), colours)


def mask(width: int = 128, height: int = 128) -> Image.Image:
    """White in the middle."""
    drawn = Image.new("L", (width, height), 0)
    drawn.paste(255, (width // 4, height // 4, width * 3 // 4, height * 3 // 4))
    return drawn


def finished(family: Family, *works: Work, wait: int = 0) -> list[Any]:
    """Each work's pixels, (3, height, width); the k-th joins k * `wait` steps after the first."""
    waiting = [(place * wait, family.prepare(work)) for place, work in enumerate(works)]
    runs = [run for _, run in waiting]
    for tick in range(10_000):
        going = [run for joins, run in waiting if joins <= tick and not run.ended]
        for key in dict.fromkeys(family.key(run) for run in going):
            assert all(family.step([run for run in going if family.key(run) == key]))
        if all(run.ended for run in runs):
            break
    return [family.pixels(run, run.latents) for run in runs]
