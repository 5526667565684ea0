"""Which weights lie in a folder: read from its files alone, before anything of it is loaded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from providers.flux_worker.worker.weight_files import UNFINISHED, Damaged, blocks_of, tensors_of
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
    channels: int = 128
    """Of a token, as the transformer reads it."""
    encoder: str = ""
    """Of which class the text encoder must be; "" = of whichever that its architecture has."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Weights as they lie on the disk."""

    id: str
    path: Path
    kind: Kind


def _modes(*names: Mode) -> frozenset[Mode]:
    return frozenset(names)


_FLUX1 = Kind(
    "FLUX.1-dev", "flux1", _modes("generate", "img2img", "inpaint"), 28, 3.5, embeds_guidance=True, channels=64,
)  # fmt: skip
_FLUX2 = Kind(
    "FLUX.2-dev", "flux2", _modes("generate", "edit"), 50, 4.0, references_most=10, embeds_guidance=True,
    encoder="Mistral3ForConditionalGeneration",
)  # fmt: skip
_KLEIN = replace(
    _FLUX2, family="FLUX.2-klein-base", modes=_modes("generate", "edit", "inpaint"), references_most=4,
    embeds_guidance=False, encoder="Qwen3ForCausalLM",
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
        _FLUX1,
        family="FLUX.1-Fill",
        modes=_modes("fill"),
        default_steps=50,
        default_guidance=30.0,
        negative=False,
        channels=384,
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

_WEIGHTS = {
    "transformer": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}
"""How diffusers and transformers name the files."""

_VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model", "tekken.json")
"""Of a tokenizer, any; without one transformers makes a tokenizer that knows no words, and says nothing."""


def may_be_fetched(model: str) -> bool:
    """An id of a hub, and nothing of this machine."""
    return not Path(model).exists() and _HUB_ID.fullmatch(model) is not None


def recognise(model: str, *, download: bool = False) -> Folder:
    """The weights at a path, or of a hub's id that lies in its local cache; `download` fetches what lacks. Raises
    FolderError."""
    path = Path(model)
    if model and path.is_dir():
        return _read(Path(os.path.abspath(model)).name, path)  # a link is called as it is, not as what it leads to
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
    pipeline = str(index.get("_class_name", "pipeline without a name"))
    if pipeline not in KINDS:
        raise FolderError(f"{path} holds a {pipeline}; this worker loads {', '.join(KINDS)}")
    kind = KINDS[pipeline]
    parts = {**PARTS["flux1" if kind.architecture == "flux1" else "flux2"]}
    parts["text_encoder"] = kind.encoder or parts["text_encoder"]
    for part, expected in parts.items():
        _check_part(path, index, part, expected)
    scheduler = _json(path / "scheduler" / "scheduler_config.json")
    if scheduler.get("stochastic_sampling") or scheduler.get("invert_sigmas"):
        raise FolderError(f"{path}/scheduler asks for stochastic_sampling or invert_sigmas; neither is supported")
    config = _json(path / "transformer" / "config.json")
    _check_transformer(path / "transformer", config, kind, pipeline)
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
        raise FolderError(f"{path} lacks the folder {part}: {UNFINISHED}")
    if part == "scheduler" and not (folder / "scheduler_config.json").is_file():
        raise FolderError(f"{folder} lacks scheduler_config.json: {UNFINISHED}")
    if part.startswith("tokenizer") and not any((folder / name).is_file() for name in _VOCABULARIES):
        raise FolderError(f"{folder} lacks the vocabulary, one of {', '.join(_VOCABULARIES)}: {UNFINISHED}")
    if part in _WEIGHTS:
        if not (folder / "config.json").is_file():
            raise FolderError(f"{folder} lacks config.json: {UNFINISHED}")
        _tensors(folder, part)


def _tensors(folder: Path, part: str) -> frozenset[str]:
    try:
        return tensors_of(folder, _WEIGHTS[part])
    except Damaged as damaged:
        raise FolderError(str(damaged)) from damaged


def _check_transformer(folder: Path, config: Mapping[str, Any], kind: Kind, pipeline: str) -> None:
    """Its configuration is that of the pipeline, and that of the weights beside it."""
    file, expected = folder / "config.json", PARTS["flux1" if kind.architecture == "flux1" else "flux2"]["transformer"]
    named = config.get("_class_name", expected)
    if named != expected:
        raise FolderError(f"{file} is of a {named}; a {pipeline} has a {expected}")
    channels = config.get("in_channels", kind.channels)
    if channels != kind.channels:
        said = f"{file} reads {channels} channels; the transformer of a {pipeline} reads {kind.channels}"
        raise FolderError(f"{said}: model_index.json and transformer are of two models")
    found = blocks_of(_tensors(folder, "transformer"))
    for kind_of_block, name in (
        ("transformer_blocks", "num_layers"),
        ("single_transformer_blocks", "num_single_layers"),
    ):
        if name in config and found[kind_of_block] != config[name]:
            said = f"{file} says {name} {config[name]!r}, and the weights beside it have {found[kind_of_block]}"
            raise FolderError(f"{said}: they are of two models, or {UNFINISHED}")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise FolderError(f"{path} holds no JSON object")
    return read
