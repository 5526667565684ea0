"""The real architectures with random weights, made where they run: their speed is that of a checkpoint, their pictures
are noise. Configurations as the published checkpoints' transformer/config.json and vae/config.json say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode

from providers.flux_worker.worker.caching import FirstBlocks
from providers.flux_worker.worker.embeddings import Embeddings
from providers.flux_worker.worker.families import load_family
from providers.flux_worker.worker.families.family import Family
from providers.flux_worker.worker.families.runs import Text
from providers.flux_worker.worker.folders import KINDS, KLEIN_DISTILLED, Kind
from providers.flux_worker.worker.work import Work

PROMPT = "a benchmark"
TOKENS = 512
POOLED = 768
SCHEDULE = {"use_dynamic_shifting": True, "shift": 3.0, "base_shift": 0.5, "max_shift": 1.15}

FLUX1_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 16,
    "layers_per_block": 2,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model by its layers. steps: as it is usually sampled."""

    kind: Kind
    layers: Mapping[str, Any]
    steps: int

    @property
    def flux1(self) -> bool:
        return self.kind.architecture == "flux1"

    @property
    def text_width(self) -> int:
        return int(self.layers["joint_attention_dim"])


def _flux2(doubles: int, singles: int, heads: int, width: int, *, guided: bool) -> Mapping[str, Any]:
    return {
        "num_layers": doubles,
        "num_single_layers": singles,
        "attention_head_dim": 128,
        "num_attention_heads": heads,
        "joint_attention_dim": width,
        "guidance_embeds": guided,
    }


ARCHITECTURES: Mapping[str, Architecture] = {
    "flux1-dev": Architecture(
        KINDS["FluxPipeline"], {**_flux2(19, 38, 24, 4096, guided=True), "pooled_projection_dim": POOLED}, 28
    ),
    "flux2-dev": Architecture(KINDS["Flux2Pipeline"], _flux2(8, 48, 48, 15360, guided=True), 28),
    "klein-4b": Architecture(KLEIN_DISTILLED, _flux2(5, 20, 24, 7680, guided=False), 4),
    "klein-9b": Architecture(KLEIN_DISTILLED, _flux2(8, 24, 32, 12288, guided=False), 4),
    "small": Architecture(
        KLEIN_DISTILLED,
        {**_flux2(2, 4, 4, 48, guided=False), "attention_head_dim": 16, "axes_dims_rope": (4, 4, 4, 4)},
        4,
    ),
}


def transformer_class(architecture: Architecture) -> Any:
    return diffusers.FluxTransformer2DModel if architecture.flux1 else diffusers.Flux2Transformer2DModel


def make_pipeline(architecture: Architecture, device: str, dtype: Any) -> Any:
    """The stock pipeline without text encoders: prompts come encoded, in it and in ours."""
    with torch.device("meta"):
        transformer = transformer_class(architecture)(**architecture.layers)
    transformer = transformer.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    with torch.no_grad():
        for name, weights in transformer.named_parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.02)
            else:
                weights.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    vae = diffusers.AutoencoderKL(**FLUX1_VAE) if architecture.flux1 else diffusers.AutoencoderKLFlux2()
    parts: dict[str, Any] = {
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(**SCHEDULE),
        "vae": vae.to(device, dtype).eval().requires_grad_(False),
        "transformer": transformer,
        "text_encoder": None,
        "tokenizer": None,
    }
    if architecture.flux1:
        pipe = diffusers.FluxPipeline(**parts, text_encoder_2=None, tokenizer_2=None)
    elif architecture.kind is KLEIN_DISTILLED:
        pipe = diffusers.Flux2KleinPipeline(**parts, is_distilled=True)
    else:
        pipe = diffusers.Flux2Pipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def make_text(architecture: Architecture, device: str, dtype: Any) -> Text:
    tokens = torch.randn(1, TOKENS, architecture.text_width, device=device, dtype=dtype)
    pooled = torch.randn(1, POOLED, device=device, dtype=dtype) if architecture.flux1 else None
    return Text(tokens, pooled)


def make_family(architecture: Architecture, pipe: Any, text: Text, device: str, cache: FirstBlocks) -> Family:
    """Ours, over the same weights; the one prompt is in its memory already."""
    embeddings = Embeddings(1 << 30)
    embeddings.put((PROMPT, None) if architecture.flux1 else PROMPT, text)
    family = load_family(pipe, architecture.kind, device, embeddings, cache)
    setattr(family, "_check_prompts", lambda work: None)  # noqa: B010  (there is no tokenizer to count with)
    return family


def flop_of_a_step(architecture: Architecture, work: Work) -> float:
    """Of one picture, as torch counts them: matrix products and attention."""
    tokens, places = work.width * work.height // 256, 3 if architecture.flux1 else 4
    with torch.device("meta"):
        model = transformer_class(architecture)(**architecture.layers)
        given = {
            "hidden_states": torch.empty(1, tokens, model.config.in_channels),
            "encoder_hidden_states": torch.empty(1, TOKENS, architecture.text_width),
            "timestep": torch.empty(1),
            "img_ids": torch.zeros(tokens, places),
            "txt_ids": torch.zeros(TOKENS, places),
            "guidance": torch.empty(1) if architecture.layers["guidance_embeds"] else None,
        }
        if architecture.flux1:
            given["pooled_projections"] = torch.empty(1, POOLED)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**given, return_dict=False)
    return float(counter.get_total_flops())
