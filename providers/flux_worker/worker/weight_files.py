"""The weight files of one part of a diffusers folder: which there are to be, and whether each is whole.

A file is judged by its header alone, which tells where its last tensor ends. Format: the README of safetensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEADER_MOST = 100_000_000
"""Bytes, as the format bounds it."""

UNFINISHED = "the download may be unfinished"

_BLOCK = re.compile(r"(transformer_blocks|single_transformer_blocks)\.(\d+)\.")


class Damaged(Exception):
    """Not all the weights that it says, or none; the message is one sentence."""


def tensors_of(folder: Path, stem: str) -> frozenset[str]:
    """The names of all weights in a folder, in one file `stem`.safetensors or in those that an index names. Raises
    Damaged."""
    index = folder / f"{stem}.safetensors.index.json"
    if not index.is_file():
        single = folder / f"{stem}.safetensors"
        if not single.is_file():
            raise Damaged(f"{folder} holds no weights ({single.name}, or the index of several such files)")
        return _names(single)
    files = _files(index)
    lacking = sorted(name for name in files if not (folder / name).is_file())
    if lacking:
        raise Damaged(f"{folder} lacks {_with_others(lacking)} of its {len(files)} weight files: {UNFINISHED}")
    for name, expected in files.items():
        missing = sorted(expected - _names(folder / name))
        if missing:
            raise Damaged(f"{folder / name} lacks {_with_others(missing)} of the weights that its index names")
    return frozenset().union(*files.values())


def blocks_of(names: frozenset[str]) -> Mapping[str, int]:
    """How many blocks of each kind a transformer's weights are of."""
    found = {match[0] for match in map(_BLOCK.match, names) if match is not None}
    return {
        kind: sum(each.startswith(f"{kind}.") for each in found)
        for kind in ("transformer_blocks", "single_transformer_blocks")
    }


def _with_others(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _files(index: Path) -> Mapping[str, set[str]]:
    """By file: the names of its weights."""
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files: dict[str, set[str]] = {}
        for weight, file in named.items():
            files.setdefault(_text(file), set()).add(weight)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{index} is no index of weight files ({type(error).__name__}: {error})") from error
    if not files:
        raise Damaged(f"{index} names no weight files")
    return files


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no file's name")
    return given


def _names(path: Path) -> frozenset[str]:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(HEADER_MOST, size - 8):
                raise ValueError("its header is none")
            header = json.loads(file.read(length))
            names = frozenset(header) - {"__metadata__"}
            end = 8 + length + max(header[name]["data_offsets"][1] for name in names)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        said = f"{path} ({size} bytes) is no file of weights: {UNFINISHED}, or its large files were not fetched"
        raise Damaged(said) from error
    if size < end:
        raise Damaged(f"{path} is cut off: {size} bytes of {end}: {UNFINISHED}")
    return names
