"""What a model cannot carry out is refused before it waits, by the field as the wire calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from providers.flux_worker.worker.work import Refused, Work
from tests.worker.weights import family, mask, picture

Weights = Callable[[str], Path]
WORK = Work("a red cat", 128, 128, 4, 1, 1.0)
LONG = "word " * 600

CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "width": ("klein", {"width": 1000}, "provider_options.image.width", "width is 1000"),
    "small": ("klein", {"height": 112}, "provider_options.image.height", "at least 128"),
    "steps": ("klein", {"steps": 0}, "provider_options.image.steps", "at least 1"),
    "mode": ("klein", {"mode": "fill"}, "input", "cannot do 'fill'"),
    "generate from nothing": ("flux1-fill", {}, "input", "it can: fill"),
    "no picture": ("klein", {"mode": "edit"}, "input", "takes 1 to 4 pictures, not 0"),
    "many pictures": ("klein", {"mode": "edit", "pictures": (picture(1, 64, 64),) * 5}, "input", "not 5"),
    "two for kontext": ("flux1-kontext", {"mode": "edit", "pictures": (picture(1),) * 2}, "input", "takes 1 pictures"),
    "a picture for nothing": ("klein", {"pictures": (picture(1),)}, "input", "takes 0 pictures"),
    "no mask": ("flux1-dev", {"mode": "inpaint", "pictures": (picture(1),)}, "input", "needs a mask"),
    "a mask for nothing": ("klein", {"mask": mask()}, "input", "takes no mask"),
    "strength": (
        "flux1-dev",
        {"mode": "img2img", "pictures": (picture(1),), "strength": 0.0},
        "provider_options.image.strength",
        "strength is 0.0",
    ),
    "long reference": ("klein", {"mode": "edit", "pictures": (Image.new("RGB", (640, 64)),)}, "input", "Aspect ratio"),
    "small and long": ("klein", {"mode": "edit", "pictures": (Image.new("RGB", (9, 90)),)}, "input", "ratio: 10.0"),
    "negative": ("klein", {"negative_prompt": "x"}, "provider_options.image.negative_prompt", "no negative prompt"),
    "second prompt": ("klein", {"secondary_prompt": "x"}, "provider_options.image.secondary_prompt", "one prompt"),
    "long prompt, klein": ("klein", {"prompt": LONG}, "input", "Prompt is too long: [0-9]+ tokens"),
    "long prompt, klein-base": (
        "klein-base",
        {"negative_prompt": LONG},
        "provider_options.image.negative_prompt",
        "at most 512",
    ),
    "long prompt, dev": ("flux2-dev", {"prompt": LONG}, "input", "Prompt is too long"),
    "long prompt, flux1": ("flux1-dev", {"prompt": LONG}, "input", "reads at most 512"),
    "long prompt, schnell": ("flux1-schnell", {"prompt": "a" * 300}, "input", "reads at most 256"),
    "long second prompt": (
        "flux1-dev",
        {"secondary_prompt": LONG},
        "provider_options.image.secondary_prompt",
        "reads at most 512",
    ),
    "long prompt for CLIP alone": ("flux1-dev", {"prompt": "x y " * 60, "secondary_prompt": "a"}, "input", "most 77"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_done_is_refused_by_its_field(weights: Weights, case: str) -> None:
    kind, changes, param, said = CASES[case]
    with pytest.raises(Refused, match=said) as refused:
        family(weights(kind)).check(replace(WORK, **changes))
    assert refused.value.param == param


@pytest.mark.parametrize("kind", ["flux1-dev", "flux1-schnell", "klein", "klein-base", "flux2-dev", "flux1-kontext"])
def test_a_prompt_that_fits_is_taken_whole(weights: Weights, kind: str) -> None:
    family(weights(kind)).check(replace(WORK, prompt="a red cat at sunset " * 5))


def test_a_long_prompt_is_no_trouble_for_clip_where_t5_reads_it_whole(weights: Weights) -> None:
    family(weights("flux1-dev")).check(replace(WORK, prompt="x y " * 60))


def test_a_guided_dev_pushes_away_from_what_is_not_wanted(weights: Weights) -> None:
    """Diffusers has no negative prompt for FLUX.2-dev: ours is the formula of its FLUX.1 pipelines."""
    ours = family(weights("flux2-dev"))
    asked = replace(WORK, negative_prompt="rain", true_cfg_scale=2.0)
    assert len(ours.prepare(asked).rows) == 2
    assert len(ours.prepare(replace(asked, true_cfg_scale=1.0)).rows) == 1
    assert len(ours.prepare(replace(asked, negative_prompt=None)).rows) == 1
