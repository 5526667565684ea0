"""Folders that are what they say, and one clear sentence for each that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.flux_worker.worker.folders import FolderError, recognise
from providers.flux_worker.worker.options import Options, load
from tests.worker.weights import copied

Weights = Callable[[str], Path]

FAMILIES = {
    "flux1-dev": ("FLUX.1-dev", {"generate", "img2img", "inpaint"}, 28, 3.5, True),
    "flux1-schnell": ("FLUX.1-schnell", {"generate", "img2img", "inpaint"}, 4, 0.0, False),
    "flux1-kontext": ("FLUX.1-Kontext", {"generate", "edit"}, 28, 3.5, True),
    "flux1-fill": ("FLUX.1-Fill", {"fill"}, 50, 30.0, True),
    "klein": ("FLUX.2-klein", {"generate", "edit", "inpaint"}, 4, 1.0, False),
    "klein-base": ("FLUX.2-klein-base", {"generate", "edit", "inpaint"}, 50, 4.0, True),
    "klein-kv": ("FLUX.2-klein-KV", {"generate", "edit"}, 4, 1.0, False),
    "flux2-dev": ("FLUX.2-dev", {"generate", "edit"}, 50, 4.0, True),
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_is_told_by_its_folder(weights: Weights, kind: str) -> None:
    folder = recognise(str(weights(kind)))
    known = folder.kind
    seen = (known.family, set(known.modes), known.default_steps, known.default_guidance, known.guided)
    assert seen == FAMILIES[kind]
    assert folder.id == kind


def altered(folder: Path, name: str, **changes: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_kind_of_model_is_named_with_those_that_would_do(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    altered(folder, "model_index.json", _class_name="StableDiffusionPipeline")
    with pytest.raises(FolderError, match=r"holds a StableDiffusionPipeline; this worker loads FluxPipeline, .*KV"):
        recognise(str(folder))


def test_a_transformer_of_another_family_is_named(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    altered(folder, "model_index.json", transformer=["diffusers", "FluxTransformer2DModel"])
    with pytest.raises(FolderError, match="FluxTransformer2DModel as its transformer; it must be a Flux2Transformer"):
        recognise(str(folder))


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("model_index.json", "no model_index.json"),
        ("vae/config.json", "lacks config.json"),
        ("transformer/diffusion_pytorch_model.safetensors", "holds no weights"),
        ("scheduler/scheduler_config.json", "lacks the folder scheduler"),
    ],
)
def test_what_an_unfinished_download_lacks_is_named(weights: Weights, tmp_path: Path, gone: str, said: str) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / gone).unlink()
    with pytest.raises(FolderError, match=said):
        recognise(str(folder))


def test_a_shard_that_is_missing_is_named(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    shards = {"x": "model-00001-of-00002.safetensors", "y": "model-00002-of-00002.safetensors"}
    (folder / "text_encoder" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (folder / "text_encoder" / "model-00002-of-00002.safetensors").touch()
    with pytest.raises(FolderError, match=r"lacks model-00001-of-00002\.safetensors"):
        recognise(str(folder))


def test_an_index_that_is_no_json_is_named(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / "model_index.json").write_text("<html>")
    with pytest.raises(FolderError, match=r"model_index.json cannot be read"):
        recognise(str(folder))


def test_weights_of_another_shape_than_their_configuration_are_not_loaded(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(FolderError, match="could not be loaded"):
        load(Options(str(folder)))


def test_a_schedule_that_draws_noise_at_each_step_is_refused(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    altered(folder, "scheduler/scheduler_config.json", stochastic_sampling=True)
    with pytest.raises(FolderError, match="stochastic_sampling"):
        recognise(str(folder))


def test_a_single_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "flux1-dev.safetensors"
    file.touch()
    with pytest.raises(FolderError, match="is a file; the worker reads a diffusers folder"):
        recognise(str(file))


def test_a_hubs_id_is_looked_for_in_the_local_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FolderError, match="neither a folder nor in the hub's local cache"):
        recognise("black-forest-labs/FLUX.2-klein-4B")


def test_what_is_neither_a_path_nor_an_id_is_said_so() -> None:
    with pytest.raises(FolderError, match="there is no folder /no/such/place"):
        recognise("/no/such/place")
