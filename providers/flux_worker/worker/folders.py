"""Which weights lie in a folder: read from its files alone, before anything of it is loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from providers.flux_worker.worker.work import Mode

Architecture = Literal["flux1", "flux2", "flux2-kv"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class FolderError(Exception):
    """Not weights that this worker can load; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a family of weights can do. Defaults are those of its diffusers pipeline."""

    family: str
    architecture: Architecture
    modes: frozenset[Mode]
    default_steps: int
    default_guidance: float
    references_most: int = 0
    guided: bool = True
    """Guidance means something; a distilled model ignores it."""
    embeds_guidance: bool = False
    """Guidance is read by the transformer, and needs no second row."""
    negative: bool = True


@dataclass(frozen=True, slots=True)
class Folder:
    """Weights as they lie on the disk."""

    id: str
    path: Path
    kind: Kind


def _modes(*names: Mode) -> frozenset[Mode]:
    return frozenset(names)


_FLUX1 = Kind("FLUX.1-dev", "flux1", _modes("generate", "img2img", "inpaint"), 28, 3.5, embeds_guidance=True)
_FLUX2 = Kind("FLUX.2-dev", "flux2", _modes("generate", "edit"), 50, 4.0, references_most=10, embeds_guidance=True)
_KLEIN = replace(
    _FLUX2, family="FLUX.2-klein-base", modes=_modes("generate", "edit", "inpaint"), references_most=4,
    embeds_guidance=False,
)  # fmt: skip
KLEIN_DISTILLED = replace(
    _KLEIN, family="FLUX.2-klein", default_steps=4, default_guidance=1.0, guided=False, negative=False
)

KINDS: Mapping[str, Kind] = {
    "FluxPipeline": _FLUX1,
    "FluxImg2ImgPipeline": _FLUX1,
    "FluxInpaintPipeline": _FLUX1,
    "FluxKontextPipeline": replace(
        _FLUX1, family="FLUX.1-Kontext", modes=_modes("generate", "edit"), references_most=1
    ),
    "FluxFillPipeline": replace(
        _FLUX1, family="FLUX.1-Fill", modes=_modes("fill"), default_steps=50, default_guidance=30.0, negative=False
    ),
    "Flux2Pipeline": _FLUX2,
    "Flux2KleinPipeline": _KLEIN,
    "Flux2KleinInpaintPipeline": _KLEIN,
    "Flux2KleinKVPipeline": replace(
        KLEIN_DISTILLED, family="FLUX.2-klein-KV", architecture="flux2-kv", modes=_modes("generate", "edit")
    ),
}
"""By the `_class_name` of model_index.json. How many references: each costs as many tokens as a picture of its size, so
these are bounds of ours, not of the weights."""

SCHNELL = replace(
    _FLUX1, family="FLUX.1-schnell", default_steps=4, default_guidance=0.0, guided=False, embeds_guidance=False
)

PARTS: Mapping[Architecture, Mapping[str, str]] = {
    "flux1": {
        "transformer": "FluxTransformer2DModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "T5EncoderModel",
        "tokenizer": "",
        "tokenizer_2": "",
        "scheduler": "FlowMatchEulerDiscreteScheduler",
    },
    "flux2": {
        "transformer": "Flux2Transformer2DModel",
        "vae": "AutoencoderKLFlux2",
        "text_encoder": "",
        "tokenizer": "",
        "scheduler": "FlowMatchEulerDiscreteScheduler",
    },
}
"""What has to be there, and of which class; "" = whichever."""

_WEIGHTS = ("transformer", "vae", "text_encoder", "text_encoder_2")


def may_be_fetched(model: str) -> bool:
    """An id of a hub, and nothing of this machine."""
    return not Path(model).exists() and _HUB_ID.fullmatch(model) is not None


def recognise(model: str, *, download: bool = False) -> Folder:
    """The weights at a path, or of a hub's id that lies in its local cache; `download` fetches what lacks. Raises
    FolderError."""
    path = Path(model)
    if path.is_dir():
        return _read(path.resolve().name, path)
    if path.is_file():
        raise FolderError(f"{model} is a file; the worker reads a diffusers folder, the one with model_index.json")
    if not _HUB_ID.fullmatch(model):
        raise FolderError(f"there is no folder {model}, and an id of a hub has the form owner/name")
    return _read(model, _fetched(model) if download else _cached(model))


def _cached(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except HFValidationError as error:
        raise FolderError(f"{model} is no folder, nor an id of a hub: {error}") from error
    except LocalEntryNotFoundError as error:
        said = f"{model} is neither a folder nor in the hub's local cache; give a folder, or fetch it with --download"
        raise FolderError(said) from error


def _fetched(model: str) -> Path:
    import diffusers

    try:
        return Path(diffusers.DiffusionPipeline.download(model))
    except (OSError, ValueError) as error:
        raise FolderError(f"{model} could not be downloaded: {error}") from error


def _read(name: str, path: Path) -> Folder:
    if not (path / "model_index.json").is_file():
        raise FolderError(f"{path} holds no model_index.json: it is no diffusers folder, or only a part of one")
    index = _json(path / "model_index.json")
    pipeline = str(index.get("_class_name"))
    if pipeline not in KINDS:
        raise FolderError(f"{path} holds a {pipeline}; this worker loads {', '.join(KINDS)}")
    kind = KINDS[pipeline]
    parts = PARTS["flux1" if kind.architecture == "flux1" else "flux2"]
    for part, expected in parts.items():
        _check_part(path, index, part, expected)
    scheduler = _json(path / "scheduler" / "scheduler_config.json")
    if scheduler.get("stochastic_sampling") or scheduler.get("invert_sigmas"):
        raise FolderError(f"{path}/scheduler asks for stochastic_sampling or invert_sigmas; neither is supported")
    config = _json(path / "transformer" / "config.json")
    guided = bool(config.get("guidance_embeds", kind.architecture != "flux1"))
    return Folder(name, path, _told_apart(kind, pipeline, guided=guided, distilled=bool(index.get("is_distilled"))))


def _told_apart(kind: Kind, pipeline: str, *, guided: bool, distilled: bool) -> Kind:
    """Two models of one pipeline: schnell's transformer reads no guidance, and distilled klein says that it is."""
    if kind is _FLUX1 and not guided:
        return SCHNELL
    if kind is _KLEIN and distilled:
        return KLEIN_DISTILLED
    if kind.embeds_guidance and not guided:
        return replace(kind, guided=False, embeds_guidance=False)
    return kind


def _check_part(path: Path, index: Mapping[str, Any], part: str, expected: str) -> None:
    named = index.get(part)
    found = named[1] if isinstance(named, list) and len(named) == 2 else None
    if found is None:
        raise FolderError(f"{path}/model_index.json names no {part}")
    if expected and found != expected:
        raise FolderError(f"{path} has a {found} as its {part}; it must be a {expected}")
    folder = path / part
    if not folder.is_dir() or not any(folder.iterdir()):
        raise FolderError(f"{path} lacks the folder {part}: the download may be unfinished")
    if part == "scheduler" and not (folder / "scheduler_config.json").is_file():
        raise FolderError(f"{folder} lacks scheduler_config.json: the download may be unfinished")
    if part in _WEIGHTS:
        _check_weights(folder)


def _check_weights(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise FolderError(f"{folder} lacks config.json: the download may be unfinished")
    needed: set[str] = set()
    for index in folder.glob("*.safetensors.index.json"):
        needed |= set(_json(index).get("weight_map", {}).values())
    lacking = sorted(name for name in needed if not (folder / name).is_file())
    if lacking:
        raise FolderError(f"{folder} lacks {lacking[0]} and {len(lacking) - 1} more of its {len(needed)} weight files")
    if not needed and not any(folder.glob("*.safetensors")):
        raise FolderError(f"{folder} holds no weights (*.safetensors)")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise FolderError(f"{path} holds no JSON object")
    return read
