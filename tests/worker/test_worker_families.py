"""Every family paints what the stock pipeline paints: alone, and in a batch with works at other steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS
from PIL import Image

from providers.flux_worker.worker.work import Mode, Work
from tests.worker.weights import family, finished, mask, picture, pipeline

Weights = Callable[[str], Path]
NEAR = 1e-4
BASE = Work(prompt="a red cat", width=128, height=128, steps=3, seed=7, guidance=3.5)

INPAINT = {"mode": "inpaint", "pictures": (picture(1),), "mask": mask()}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "flux1-dev": ("flux1-dev", {}),
    "flux1-dev, two prompts": ("flux1-dev", {"secondary_prompt": "a blue dog"}),
    "flux1-dev, negative": ("flux1-dev", {"negative_prompt": "rain", "true_cfg_scale": 3.0}),
    "flux1-dev, wide": ("flux1-dev", {"width": 192, "height": 128}),
    "flux1-dev, from a picture": ("flux1-dev", {"mode": "img2img", "pictures": (picture(1),), "strength": 0.7}),
    "flux1-dev, repair": ("flux1-dev", {**INPAINT, "strength": 0.8}),
    "flux1-dev, repair, negative": ("flux1-dev", {**INPAINT, "negative_prompt": "rain", "true_cfg_scale": 2.0}),
    "schnell": ("flux1-schnell", {"guidance": 0.0}),
    "schnell, from a picture": ("flux1-schnell", {"mode": "img2img", "pictures": (picture(1),), "strength": 0.7}),
    "schnell, repair": ("flux1-schnell", {**INPAINT, "strength": 1.0}),
    "kontext, no picture": ("flux1-kontext", {}),
    "kontext": ("flux1-kontext", {"mode": "edit", "pictures": (picture(2, 144, 128),)}),
    "fill": ("flux1-fill", {"mode": "fill", "pictures": (picture(3),), "mask": mask(), "guidance": 30.0}),
    "klein": ("klein", {}),
    "klein, wide": ("klein", {"width": 128, "height": 192}),
    "klein, one reference": ("klein", {"mode": "edit", "pictures": (picture(4, 130, 100),)}),
    "klein, three references": (
        "klein",
        {"mode": "edit", "pictures": (picture(4), picture(5, 64, 128), picture(6, 96, 96))},
    ),
    "klein, repair": ("klein", {**INPAINT, "strength": 0.8}),
    "klein, repair by a reference": (
        "klein",
        {**INPAINT, "pictures": (picture(1), picture(2, 96, 64)), "strength": 1.0},
    ),
    "klein-base": ("klein-base", {"guidance": 4.0}),
    "klein-base, negative": ("klein-base", {"guidance": 3.0, "negative_prompt": "rain"}),
    "klein-base, not guided": ("klein-base", {"guidance": 1.0}),
    "klein-base, a reference": ("klein-base", {"mode": "edit", "pictures": (picture(4),)}),
    "klein-base, repair": ("klein-base", {**INPAINT, "strength": 0.6, "steps": 5}),
    "klein-kv": ("klein-kv", {}),
    "klein-kv, two references": ("klein-kv", {"mode": "edit", "pictures": (picture(4), picture(5, 64, 96))}),
    "flux2-dev": ("flux2-dev", {}),
    "flux2-dev, two references": ("flux2-dev", {"mode": "edit", "pictures": (picture(4), picture(5, 64, 96))}),
}

KONTEXT_SHAPES = [(96, 192), (128, 144), (144, 128), (192, 96)]
"""In the place of those of a megapixel that Kontext was trained on."""

STOCK: dict[tuple[str, Mode], str] = {
    ("flux1-dev", "img2img"): "FluxImg2ImgPipeline",
    ("flux1-dev", "inpaint"): "FluxInpaintPipeline",
    ("flux1-schnell", "img2img"): "FluxImg2ImgPipeline",
    ("flux1-schnell", "inpaint"): "FluxInpaintPipeline",
    ("klein", "inpaint"): "Flux2KleinInpaintPipeline",
    ("klein-base", "inpaint"): "Flux2KleinInpaintPipeline",
}


@pytest.fixture(autouse=True)
def small_shapes() -> Iterator[None]:
    """The one list that diffusers and we read."""
    kept = list(PREFERRED_KONTEXT_RESOLUTIONS)
    PREFERRED_KONTEXT_RESOLUTIONS[:] = KONTEXT_SHAPES
    yield
    PREFERRED_KONTEXT_RESOLUTIONS[:] = kept


def stock(folder: Path, kind: str, work: Work) -> Any:
    """(3, height, width): what diffusers paints."""
    pipe = pipeline(folder)
    if (kind, work.mode) in STOCK:
        extra = {"is_distilled": pipe.config.is_distilled} if kind.startswith("klein") else {}
        pipe = getattr(diffusers, STOCK[kind, work.mode])(**pipe.components, **extra)
        pipe.set_progress_bar_config(disable=True)
    given: dict[str, Any] = {
        "prompt": work.prompt,
        "height": work.height,
        "width": work.width,
        "num_inference_steps": work.steps,
        "generator": torch.Generator("cpu").manual_seed(work.seed),
        "output_type": "np",
    }
    if kind != "klein-kv":
        given["guidance_scale"] = work.guidance
    if kind.startswith("flux1"):
        given["max_sequence_length"] = 256 if kind == "flux1-schnell" else 512
        given["prompt_2"] = work.secondary_prompt
        if kind != "flux1-fill":
            given |= {"negative_prompt": work.negative_prompt, "true_cfg_scale": work.true_cfg_scale}
    elif work.negative_prompt is not None:
        given["negative_prompt_embeds"] = pipe.encode_prompt(work.negative_prompt, device="cpu")[0]
    if kind == "flux1-kontext":
        given["max_area"] = work.width * work.height
    given |= _pictures(kind, work)
    return torch.from_numpy(pipe(**given).images[0]).permute(2, 0, 1)


def _pictures(kind: str, work: Work) -> dict[str, Any]:
    match work.mode:
        case "generate":
            return {}
        case "edit":
            return {"image": work.pictures[0] if kind == "flux1-kontext" else list(work.pictures)}
        case "img2img":
            return {"image": work.pictures[0], "strength": work.strength}
        case "fill":
            return {"image": work.pictures[0], "mask_image": work.mask}
        case "inpaint":
            given = {"image": work.pictures[0], "mask_image": work.mask, "strength": work.strength}
            return given | ({"image_reference": work.pictures[1]} if len(work.pictures) > 1 else {})


@pytest.mark.parametrize("case", CASES)
def test_a_picture_is_the_stock_pipelines(weights: Weights, case: str) -> None:
    kind, changes = CASES[case]
    work = replace(BASE, **changes)
    ours = family(weights(kind))
    ours.check(work)
    (painted,) = finished(ours, work)
    assert float((painted - stock(weights(kind), kind, work)).abs().max()) < NEAR


@pytest.mark.parametrize("case", CASES)
def test_a_picture_is_the_same_among_others_at_other_steps(weights: Weights, case: str) -> None:
    kind, changes = CASES[case]
    work = replace(BASE, **changes)
    others = [
        replace(work, prompt="a green boat on the sea", steps=5, seed=1, guidance=work.guidance + 1),
        work,
        replace(work, prompt="山", steps=2, seed=3, true_cfg_scale=work.true_cfg_scale + 1),
    ]
    painted = finished(family(weights(kind)), *others, wait=1)
    for one, other in zip(painted, others, strict=True):
        assert float((one - stock(weights(kind), kind, other)).abs().max()) < NEAR


SHAPED: dict[str, tuple[str, dict[str, Any]]] = {
    "flux1-dev, from a picture": ("flux1-dev", {"mode": "img2img"}),
    "flux1-dev, repair": ("flux1-dev", {"mode": "inpaint", "mask": mask(192, 128)}),
    "fill": ("flux1-fill", {"mode": "fill", "mask": mask(192, 128)}),
    "klein, repair": ("klein", {"mode": "inpaint", "mask": mask(192, 128)}),
}


@pytest.mark.parametrize("case", SHAPED)
def test_a_picture_of_another_shape_is_cut_at_its_sides_and_not_stretched(weights: Weights, case: str) -> None:
    kind, changes = SHAPED[case]
    wide = replace(BASE, pictures=(picture(1, 192, 128),), **changes)
    middle = (32, 0, 160, 128)
    cut = replace(wide, pictures=(wide.pictures[0].crop(middle),), mask=wide.mask and wide.mask.crop(middle))
    ours = family(weights(kind))
    painted, expected = finished(ours, wide, cut)
    assert float((painted - expected).abs().max()) < NEAR


def test_a_mask_of_another_shape_than_its_picture_is_brought_to_it_first(weights: Weights) -> None:
    given = replace(BASE, mode="inpaint", pictures=(picture(1, 192, 128),), mask=mask(128, 128))
    ours = family(weights("flux1-dev"))
    assert given.mask is not None
    painted, expected = finished(ours, given, replace(given, mask=given.mask.resize((192, 128))))
    assert float((painted - expected).abs().max()) < NEAR


@pytest.mark.parametrize("size", [(32, 32), (32, 99), (1, 8)])
def test_a_small_reference_is_made_large_enough_in_its_own_shape(weights: Weights, size: tuple[int, int]) -> None:
    small = picture(4, *size)
    scale = 64 / min(size)
    large = small.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.LANCZOS)
    work = replace(BASE, mode="edit", pictures=(small,))
    ours = family(weights("klein"))
    ours.check(work)
    painted, expected = finished(ours, work, replace(work, pictures=(large,)))
    assert float((painted - expected).abs().max()) < NEAR
