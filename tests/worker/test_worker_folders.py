"""Folders that are what they say, and one clear sentence for each that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

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


PARTS = ("transformer/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("left", [0, 7, 1000, -1])
def test_a_file_that_is_cut_off_is_named_before_anything_is_loaded(
    weights: Weights, tmp_path: Path, part: str, left: int
) -> None:
    folder = copied(weights("klein"), tmp_path)
    file = folder / f"{part}.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(FolderError, match=f"{part}.safetensors .*the download may be unfinished"):
        recognise(str(folder))


@pytest.mark.parametrize("part", PARTS)
def test_a_pointer_to_a_large_file_is_no_weights(weights: Weights, tmp_path: Path, part: str) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / f"{part}.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(FolderError, match="is no file of weights"):
        recognise(str(folder))


@pytest.mark.parametrize(
    "index", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"x": 5}}', '{"weight_map": {}}']
)
def test_an_index_of_weights_that_is_none_is_named(weights: Weights, tmp_path: Path, index: str) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / "vae" / "diffusion_pytorch_model.safetensors.index.json").write_text(index)
    with pytest.raises(FolderError, match=r"index.json .*(no index of weight files|names no weight files)"):
        recognise(str(folder))


def test_a_shard_without_what_its_index_names_is_named(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    index = {"weight_map": {"unheard.weight": "model.safetensors"}}
    (folder / "text_encoder" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FolderError, match=r"model\.safetensors lacks unheard\.weight"):
        recognise(str(folder))


def test_links_are_followed_and_called_as_they_are(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    file.rename(tmp_path / "blob")
    file.symlink_to(tmp_path / "blob")
    (tmp_path / "my-flux").symlink_to(folder)
    assert recognise(str(tmp_path / "my-flux")).id == "my-flux"
    (tmp_path / "blob").unlink()
    with pytest.raises(FolderError, match="vae holds no weights"):
        recognise(str(folder))


@pytest.mark.parametrize(
    ("kind", "file", "changes", "said"),
    [
        ("klein", "model_index.json", {"_class_name": "Flux2Pipeline"}, "must be a Mistral3ForConditionalGeneration"),
        ("flux2-dev", "model_index.json", {"_class_name": "Flux2KleinPipeline"}, "must be a Qwen3ForCausalLM"),
        ("flux1-dev", "model_index.json", {"_class_name": "FluxFillPipeline"}, "reads 64 channels.*reads 384"),
        ("flux1-fill", "model_index.json", {"_class_name": "FluxPipeline"}, "reads 384 channels.*reads 64"),
        ("klein", "transformer/config.json", {"_class_name": "FluxTransformer2DModel"}, "a Flux2Transformer2DModel"),
        ("klein", "transformer/config.json", {"num_layers": 3}, "num_layers 3, and the weights beside it have 2"),
        ("flux1-dev", "transformer/config.json", {"num_single_layers": 3}, "num_single_layers 3, .* have 4"),
    ],
)  # fmt: skip
def test_parts_of_two_models_are_told_before_they_are_loaded(
    weights: Weights, tmp_path: Path, kind: str, file: str, changes: dict[str, object], said: str
) -> None:
    folder = copied(weights(kind), tmp_path)
    altered(folder, file, **changes)
    with pytest.raises(FolderError, match=said):
        recognise(str(folder))


def test_a_tokenizer_without_words_is_none(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(FolderError, match="tokenizer lacks the vocabulary"):
        recognise(str(folder))


def test_what_the_libraries_cannot_read_is_one_line(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    altered(folder, "text_encoder/config.json", num_hidden_layers=29)
    with pytest.raises(FolderError, match=r"could not be loaded: .*num_hidden_layers") as trouble:
        load(Options(str(folder)))
    assert "\n" not in str(trouble.value)


def test_weights_that_the_file_lacks_are_not_made_up(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    kept = load_file(file)
    del kept["decoder.conv_in.weight"]
    save_file(kept, file)
    with pytest.raises(FolderError, match=r"vae lacks 1 of its weights, among them decoder\.conv_in\.weight"):
        load(Options(str(folder)))


def test_a_tokenizer_without_a_template_is_said_so(weights: Weights, tmp_path: Path) -> None:
    folder = copied(weights("klein"), tmp_path)
    (folder / "tokenizer" / "chat_template.jinja").unlink(missing_ok=True)
    altered(folder, "tokenizer/tokenizer_config.json", chat_template=None)
    with pytest.raises(FolderError, match="tokenizer lacks its chat template"):
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
