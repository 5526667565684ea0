"""The operator's choices: what is loaded as they say, and one clear sentence for each that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models import attention_dispatch

from providers.flux_worker.worker import loading
from providers.flux_worker.worker.folders import recognise
from providers.flux_worker.worker.loading import load_weights, untrace
from providers.flux_worker.worker.options import OptionError, Options, load
from providers.flux_worker.worker.work import Work
from tests.worker.engines import Ear, send
from tests.worker.weights import copied, family, finished, picture

Weights = Callable[[str], Path]
WORK = Work("a red cat", 128, 128, 2, 1, 2.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_most": 0}, "batch_most is 0; it must be at least 1"),
        ({"waiting_most": -1}, "waiting_most is -1"),
        ({"threads": 0}, "threads is 0"),
        ({"fast_threshold": 2.0}, "fast_threshold is 2.0; it must be between 0 and 1"),
        ({"dtype": "int8"}, "dtype is 'int8'; it must be one of bfloat16, float16, float32"),
        ({"quantisation": "int4"}, "quantisation is 'int4'"),
        ({"sizes": ((1000, 1024),)}, "sizes holds 1000x1024"),
        ({"offload": True, "compile": True}, "cannot be combined"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_before_anything_is_read(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Options("anything", **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "tpu"}, "device is 'tpu'; it must be cuda, cuda:N or cpu"),
        ({"device": "cuda:99"}, "torch sees [0-9]+ GPUs here"),
        ({"quantisation": "float8", "device": "cpu"}, "compute capability 8.9"),
        ({"attention": "no_such_backend", "device": "cpu"}, "attention is 'no_such_backend'"),
    ],
)
def test_a_choice_that_this_machine_cannot_carry_out_is_refused(
    weights: Weights, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        load(Options(str(weights("klein")), **changes))


def test_an_attention_that_keeps_state_is_not_compiled(weights: Weights) -> None:
    with pytest.raises(OptionError, match=r"compile is not for FLUX\.2-klein-KV"):
        load(Options(str(weights("klein-kv")), device="cpu", compile=True))


def painted(folder: Path, work: Work, **changes: Any) -> Any:
    ours = load_weights(recognise(str(folder)), Options(str(folder), device="cpu", **changes))
    return finished(ours, work)[0]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("klein", {}),
        ("klein-kv", {"mode": "edit", "pictures": (picture(2, 96, 64),)}),
        ("flux1-dev", {"negative_prompt": "rain", "true_cfg_scale": 2.0}),
        ("flux2-dev", {}),
    ],
)
def test_offloaded_weights_paint_the_same_picture(weights: Weights, kind: str, changes: dict[str, Any]) -> None:
    work = replace(WORK, **changes)
    (expected,) = finished(family(weights(kind)), work)
    assert torch.equal(painted(weights(kind), work, offload=True), expected)


@pytest.mark.parametrize("kind", ["klein", "flux1-dev", "klein-kv", "flux2-dev"])
def test_half_the_bits_paint_nearly_the_same_picture(weights: Weights, kind: str) -> None:
    (expected,) = finished(family(weights(kind)), WORK)
    rough = painted(weights(kind), WORK, dtype="bfloat16")
    assert rough.dtype == torch.float32
    assert 0 < float((rough - expected).abs().mean()) < 0.05


def test_an_attention_backend_is_the_one_asked_for(weights: Weights) -> None:
    (expected,) = finished(family(weights("klein")), WORK)
    assert float((painted(weights("klein"), WORK, attention="_native_math") - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("kind", ["flux1-fill", "flux1-kontext", "klein-kv", "klein-base"])
def test_every_family_warms_up_with_nothing_given(weights: Weights, kind: str) -> None:
    engine = load(Options(str(weights(kind)), device="cpu", sizes=((128, 128),)))
    assert engine.standing().ready
    engine.drain(0)


def test_what_cannot_take_a_step_is_found_before_anybody_waits(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`_native_cudnn` is there, and of no use on a CPU; no size is named."""
    registry = attention_dispatch._AttentionBackendRegistry
    monkeypatch.setattr(registry, "_active_backend", registry._active_backend)  # it is one for the whole process
    with pytest.raises(OptionError, match="cannot take a step with these options: No viable backend"):
        load(Options(str(weights("klein")), device="cpu", attention="_native_cudnn"))


@pytest.mark.parametrize("kind", ["klein", "flux1-dev"])
def test_float8_paints_a_picture_the_same_beside_others(
    weights: Weights, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one scale for all activations of a batch it would not."""
    quantization = pytest.importorskip("torchao.quantization.quant_api")
    monkeypatch.setattr(quantization, "_check_hardware_support", lambda granularity: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    how = loading._quantisation(Options("x", quantisation="float8"), "cuda", torch.bfloat16)
    folder = recognise(str(weights(kind)))
    monkeypatch.setattr(loading, "_quantisation", lambda *given: how)
    ours = load_weights(folder, Options(str(folder.path), device="cpu", dtype="bfloat16"))
    assert "Float8" in type(ours.pipe.transformer.transformer_blocks[0].attn.to_q.weight).__name__
    (alone,) = finished(ours, WORK)
    together = finished(ours, WORK, *(replace(WORK, seed=seed) for seed in (2, 3)))
    assert float((together[0] - alone).abs().max()) < 1 / 255


def test_float8_needs_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    with pytest.raises(OptionError, match="float8 needs dtype bfloat16, not float16"):
        loading._quantisation(Options("x", quantisation="float8", dtype="float16"), "cuda", torch.float16)


def test_compiled_blocks_may_have_as_many_forms_as_shapes_need(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch keeps the limit for each thread by itself."""
    transformer = type(family(weights("klein")).pipe.transformer)
    monkeypatch.setattr(transformer, "compile_repeated_blocks", lambda self, **given: None)
    engine = load(Options(str(weights("klein")), device="cpu", compile=True))
    seen: list[int] = []
    ear = Ear(WORK)
    ear.after[1] = lambda: seen.append(torch._dynamo.config.recompile_limit)
    send(engine, ear)
    ear.outcome()
    engine.drain(0)
    assert seen == [loading.GRAPHS_MOST]


def test_offloaded_blocks_do_not_note_every_call_for_ever(weights: Weights) -> None:
    """As diffusers does with streams, until a first whole pass, which never comes here."""
    from diffusers.hooks import group_offloading

    ours = load_weights(recognise(str(weights("klein"))), Options(str(weights("klein")), device="cpu", offload=True))
    transformer = ours.pipe.transformer
    hook = group_offloading.LazyPrefetchGroupOffloadingHook()
    registry = group_offloading.HookRegistry.check_if_exists_or_initialize(transformer)
    registry.register_hook(hook, "lazy_prefetch_group_offloading")
    finished(ours, WORK)
    noted = len(hook.execution_order)
    assert noted > 0
    untrace(transformer)
    finished(ours, WORK)
    assert len(hook.execution_order) == noted
    assert registry.get_hook("lazy_prefetch_group_offloading") is None


def test_a_processor_of_pictures_is_not_needed_for_words(weights: Weights, tmp_path: Path) -> None:
    """FLUX.2-dev names one, and it needs torchvision."""
    folder = copied(weights("flux2-dev"), tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    index["tokenizer"] = ["transformers", "PixtralProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (expected,) = finished(family(weights("flux2-dev")), WORK)
    assert torch.equal(painted(folder, WORK), expected)
