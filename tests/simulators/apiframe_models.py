"""What apiframe takes of each model: its object of parameters, and the values of each field in it.

Sources: docs-v2.apiframe.ai, the pages of the models; openapi.json of apiframe's Node SDK for what they leave open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulators.base import require
from tests.simulators.inputs import Given
from tests.simulators.pages import (
    Page,
    Takes,
    address,
    addresses,
    boolean,
    check,
    number,
    one_of,
    ratio,
    sides,
    text,
    whole,
)

FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
AREAS = {
    "512px": 0.25,
    "0.5 MP": 0.5,
    "1 MP": 1.0,
    "2 MP": 2.0,
    "4 MP": 4.0,
    "regular": 1.0,
    "1K": 1.0,
    "2K": 4.0,
    "3K": 9.0,
    "4K": 16.0,
}
"""Megapixels of 1024 x 1024 that a word for scale means."""


SEED = whole(0, 2**32 - 1)
MATCH = "match_input_image"


@dataclass(frozen=True)
class Taken:
    """`scale` is the field that says how large, `switch` the one whose "custom" makes width and height count;
    `always` the number of pictures of every job."""

    under: str
    page: Page
    scale: str | None = None
    switch: str | None = None
    usual: str = "1K"
    form: str = "webp"
    multiple: int = 16
    named_multiple: int = 16
    """What sides are rounded to where the shape goes by name."""
    side_most: int | None = None
    always: int | None = None
    inputs: str | None = None
    """The field of pictures to edit, an address or a list of them."""

    def addresses(self, params: Mapping[str, Any]) -> list[str]:
        """Where the pictures to edit are, in order."""
        said = params.get(self.inputs, []) if self.inputs else []
        return said if isinstance(said, list) else [said]

    def check(self, params: Mapping[str, Any]) -> None:
        check(params, self.page, {name: each.page for name, each in TAKEN.items() if each.under == self.under})
        custom = self.switch is not None and params.get(self.switch) == "custom"
        given = [side in params for side in ("width", "height")]
        require(not custom or all(given), "width and height are required with custom")
        matches = params.get("aspect_ratio") == MATCH
        require(not matches or bool(self.addresses(params)), f"{MATCH} takes an input image")

    def size(self, params: Mapping[str, Any], first: Given | None = None) -> tuple[int, int]:
        """The pixels made: `custom` ones to the nearest multiple, else the ratio's at the scale, where the ratio may be
        that of the first picture."""
        if self.switch is not None and params.get(self.switch) == "custom":
            return _rounded(params["width"], self.multiple), _rounded(params["height"], self.multiple)
        named = str(params.get("aspect_ratio", "1:1"))
        if named == MATCH:
            width, height = (1, 1) if first is None else first.size
        else:
            width, height = map(int, named.split(":"))
        area = AREAS[str(params.get(self.scale, self.usual) if self.scale else self.usual)]
        scale = (area * 1024 * 1024 / (width * height)) ** 0.5
        if self.side_most is not None:  # at 4 MP a wide picture comes out smaller than asked for
            scale = min(scale, self.side_most / max(width, height))
        return _rounded(width * scale, self.named_multiple), _rounded(height * scale, self.named_multiple)


def _rounded(side: float, multiple: int) -> int:
    return max(multiple, int(side / multiple + 0.5) * multiple)


NINE = ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
EIGHT = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")
TEN = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
MP = ("0.5 MP", "1 MP", "2 MP", "4 MP")


def _flux(side_most: int = 2048, multiple: int = 16, pictures: int = 0, **more: Takes) -> Taken:
    page: Page = {
        "aspect_ratio": one_of(*NINE, "custom", *([MATCH] if pictures else [])),
        "output_format": one_of("jpg", "png", "webp"),
        "output_quality": whole(0, 100),
        "seed": SEED,
        **sides(256, side_most),
        **({"input_images": addresses(pictures)} if pictures else {}),
        **more,
    }
    return Taken(
        "fluxParams",
        page,
        scale="resolution" if "resolution" in more else None,
        switch="aspect_ratio",
        usual="1 MP",
        multiple=multiple,
        side_most=2048,
        inputs="input_images" if pictures else None,
    )


def _ultra() -> Taken:
    page: Page = {
        "aspect_ratio": one_of("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21"),
        "output_format": one_of("jpg", "png"),
        "seed": SEED,
        "raw": boolean(),
        "image_prompt": address(),
        "image_prompt_strength": number(0, 1),
    }
    return Taken("fluxParams", page, usual="4 MP", form="jpg", named_multiple=32)


def _nano_banana(*scales: str) -> Taken:
    page: Page = {
        "aspect_ratio": one_of(*TEN, MATCH),
        "output_format": one_of("jpg", "png", "webp"),
        "image_input": addresses(14),
        **({"resolution": one_of(*scales)} if scales else {}),
    }
    return Taken("nanoBananaParams", page, "resolution" if scales else None, form="jpg", inputs="image_input")


def _gpt_image(under: str, **more: Takes) -> Taken:
    page: Page = {
        "quality": one_of("low", "medium", "high", "auto"),
        "aspect_ratio": one_of("1:1", "3:2", "2:3"),
        "output_format": one_of("png", "jpeg", "webp"),
        "number_of_images": whole(1, 10),
        "input_images": addresses(16),
        **more,
    }
    return Taken(under, page, inputs="input_images")


def _seedream(scale: str, scales: tuple[str, ...], usual: str, pictures: int, **more: Takes) -> Taken:
    switch = "size" if "custom" in scales else "aspect_ratio"
    ratios = (*EIGHT, *(["custom"] if switch == "aspect_ratio" else []), *([MATCH] if pictures else []))
    page: Page = {
        "aspect_ratio": one_of(*ratios),
        scale: one_of(*scales),
        **({"image_input": addresses(pictures)} if pictures else {}),
        **more,
    }
    inputs = "image_input" if pictures else None
    return Taken("seedreamParams", page, scale, switch, usual, form="png", multiple=1, inputs=inputs)


def _imagen() -> Taken:
    page: Page = {
        "aspect_ratio": one_of("1:1", "9:16", "16:9", "3:4", "4:3"),
        "image_size": one_of("1K", "2K"),
        "output_format": one_of("jpg", "png"),
    }
    return Taken("imagenParams", page, "image_size", form="jpg")


def _qwen_image() -> Taken:
    page: Page = {
        "aspect_ratio": one_of(*EIGHT, "2:1", "1:2"),
        "negative_prompt": text(500),
        "seed": SEED,
        "image": address(),
    }
    return Taken("qwenImage2Params", page, form="png", inputs="image")


TAKEN: Mapping[str, Taken] = {
    "flux-2-max": _flux(pictures=8, resolution=one_of(*MP)),
    "flux-2-pro": _flux(pictures=8, resolution=one_of(*MP), prompt_upsampling=boolean()),
    "flux-2-flex": _flux(
        multiple=32,
        pictures=10,
        resolution=one_of(*MP),
        prompt_upsampling=boolean(),
        steps=whole(1, 50),
        guidance=number(1.5, 10),
    ),
    "flux-2-dev": _flux(multiple=32, pictures=5, go_fast=boolean()),
    "flux-1.1-pro": _flux(1440, 32, prompt_upsampling=boolean(), image_prompt=address()),
    "flux-1.1-pro-ultra": _ultra(),
    # A Flux model that came after these pages, with what all of them have.
    "flux-unlisted": Taken(
        "fluxParams",
        {
            "aspect_ratio": one_of(*NINE),
            "output_format": one_of("jpg", "png", "webp"),
            "output_quality": whole(0, 100),
            "seed": SEED,
        },
    ),
    "nano-banana": _nano_banana(),
    "nano-banana-pro": _nano_banana("1K", "2K", "4K"),
    "nano-banana-2": _nano_banana("512px", "1K", "2K", "4K"),
    "gpt-image-1.5": _gpt_image(
        "gptImageParams",
        background=one_of("auto", "transparent", "opaque"),
        input_fidelity=one_of("low", "high"),
    ),
    "gpt-image-2": _gpt_image("gptImage2Params", background=one_of("auto", "opaque"), moderation=one_of("auto", "low")),
    "seedream-3": _seedream(
        "size", ("regular",), "regular", 0, seed=SEED, guidance_scale=number(1, 10), **sides(512, 2048)
    ),
    "seedream-3.1": _seedream("resolution", ("2K",), "2K", 0, seed=SEED, use_pre_llm=boolean(), **sides(512, 3024)),
    "seedream-4": _seedream(
        "size", ("1K", "2K", "4K", "custom"), "2K", 10, enhance_prompt=boolean(), **sides(1024, 4096)
    ),
    "seedream-4.5": _seedream("size", ("2K", "4K", "custom"), "2K", 14, **sides(1024, 4096)),
    "seedream-5-lite": Taken(
        "seedreamParams",
        {
            "aspect_ratio": one_of(*EIGHT, MATCH),
            "size": one_of("2K", "3K"),
            "output_format": one_of("jpg", "png"),
            "image_input": addresses(14),
        },
        "size",
        usual="2K",
        form="png",
        inputs="image_input",
    ),
    "midjourney": Taken("midjourneyParams", {"aspect_ratio": ratio()}, form="png", always=4),
    "grok-imagine-image": Taken(
        "grokImagineParams",
        {"aspect_ratio": one_of("1:1", "2:3", "3:2", "16:9", "9:16"), "image": address()},
        form="jpg",
        inputs="image",
    ),
    **{f"imagen-{version}": _imagen() for version in ("3", "3-fast", "4", "4-fast", "4-ultra")},
    "qwen-image-2": _qwen_image(),
    "qwen-image-2-pro": _qwen_image(),
    "reve-create": Taken(
        "reveParams",
        {"aspect_ratio": one_of("16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "1:1"), "seed": SEED},
        form="png",
    ),
}

PAGES: Mapping[str, Page] = {name: each.page for name, each in TAKEN.items()}
