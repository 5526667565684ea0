"""What 1min.ai's models take, for making pictures and for editing one.

Source: docs.1min.ai, "AI for Image": the pages under "Image Generator" and "Image Text Editor", one for each model.
They differ in what the same thing is called and in its bounds:

    steps       `steps` 15-50 (FLUX.2 max and pro; flex down to 6), `num_inference_steps` 1-50 (dev) or 1-4 (schnell)
    guidance    2-5 (FLUX.2 max, pro, flex), 0-10 (FLUX.2 dev), 1-20 (Kontext dev), 0-50 (FLUX.1 pro and dev)
    format      `output_format` jpg png, with webp on the dev models; `format` png jpeg webp (Kontext); none elsewhere
    safety      1-6 (FLUX.2, Kontext), 0-5 (1.1 pro), 1-5 (pro), or a checker to turn off (dev, schnell)
    megapixels  "0.25" "1" (FLUX.2 dev, schnell), with "2" (FLUX.1 dev)
    seed        0-4294967295 wherever it is stated
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from normalization.geometry import Grid, Offers, Ratios, Sizes
from normalization.rules import Output, Row, converted, same, within
from normalization.vocabulary import Format, Size, Tier
from providers.rows import THREE_SIZES, as_field, gpt_image_grid, quality_as_steps, quality_words, safety_from

FIELDS = "promptObject"

SEVEN_RATIOS: Final = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:5", "5:4")

FORMATS: Final = {"jpg": Format.JPEG, "jpeg": Format.JPEG, "png": Format.PNG, "webp": Format.WEBP}


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes. `rows` are those beyond the prompt; parameters without one are lacking."""

    offers: Offers = field(default_factory=Offers)
    rows: Mapping[str, Row] = field(default_factory=dict)
    output: Output = field(default_factory=lambda: Output(names={}))
    """Without a field for it, what comes back is not known before."""
    constants: tuple[tuple[str, Any], ...] = ()
    prompt_max: int | None = None
    notes: str = ""


def to(name: str) -> str:
    """The path of a field of the model's object."""
    return f"{FIELDS}.{name}"


def _steps(name: str, least: int, most: int, presets: tuple[int, int, int]) -> dict[str, Row]:
    return {"steps": within(to(name), least, most), "quality": quality_as_steps(to(name), *presets)}


def _ratios(*megapixels: str) -> Ratios:
    """The seven ratios, with the areas that the model offers, spelled as bare numbers."""
    tiers = tuple(Tier.megapixels(area, area) for area in megapixels)
    return Ratios(to("aspect_ratio"), SEVEN_RATIOS, tiers, to("megapixels") if tiers else None)


def _custom(size: Size) -> Mapping[str, Any]:
    return {to("aspect_ratio"): "custom", to("width"): size.width, to("height"): size.height}


def _output(*names: str, field: str = "output_format", quality: str | None = "output_quality") -> Output:
    """png is asked for by name: what comes unasked differs from model to model."""
    return Output(to(field), {FORMATS[name]: name for name in names}, True, to(quality) if quality else None)


_SEED: Final = {"seed": same(to("seed"))}
_UPSAMPLING: Final = {"prompt_upsampling": same(to("prompt_upsampling"))}
_CHECKER: Final = {
    "enable_safety_checker": converted(to("disable_safety_checker"), using=lambda enabled: not enabled),
}
_STRENGTH: Final = {"strength": same(to("prompt_strength"))}


def _flux_2(least_steps: int) -> Model:
    return Model(
        offers=Offers(ratios=_ratios()),
        rows={
            **_SEED,
            **_UPSAMPLING,
            **_steps("steps", least_steps, 50, (15, 28, 50)),
            "guidance": within(to("guidance"), 2, 5),
            "safety_tolerance": safety_from(to("safety_tolerance"), 1, 6),
        },
        output=_output("png", "jpg"),
    )


_FLUX_2_DEV: Final = Model(
    offers=Offers(ratios=_ratios("0.25", "1")),
    rows={
        **_SEED,
        **_CHECKER,
        **_steps("num_inference_steps", 1, 50, (12, 28, 50)),
        "guidance": within(to("guidance"), 0, 10),
    },
    output=_output("png", "jpg", "webp"),
)

_UNDOCUMENTED: Final = (
    "1min.ai's page of this model is about editing alone; that it makes pictures from a prompt too is not documented."
)
_KONTEXT: Final = Model(
    offers=Offers(ratios=_ratios()),
    rows={**_SEED, **_UPSAMPLING, "safety_tolerance": safety_from(to("safety_tolerance"), 1, 6)},
    output=_output("png", "jpeg", "webp", field="format", quality=None),
    notes=_UNDOCUMENTED,
)
_KONTEXT_DEV: Final = Model(
    offers=Offers(ratios=_ratios()),
    rows={
        **_SEED,
        **_CHECKER,
        **_steps("num_inference_steps", 1, 50, (12, 28, 50)),
        "guidance": within(to("guidance"), 1, 20),
    },
    output=_output("png", "jpeg", "webp", field="format"),
    notes=_UNDOCUMENTED,
)

_THREE: Final = Offers(sizes=Sizes(as_field(to("size")), THREE_SIZES))
_ANY: Final = Offers(gpt_image_grid(as_field(to("size"))), default=Size(1024, 1024))


def _gpt_image(
    offers: Offers, *, style: bool = False, constants: tuple[tuple[str, Any], ...] = (), prompt_max: int | None = None
) -> Model:
    rows = {
        "quality": quality_words(to("quality"), auto=False),
        "background": same(to("background")),
    }
    return Model(
        offers=offers,
        rows={**rows, "style": same(to("style"))} if style else rows,
        # Their output_compression is a quality: "higher = better quality".
        output=_output("png", "jpeg", "webp", quality="output_compression"),
        constants=constants,
        prompt_max=prompt_max,
    )


# GPT Image 2 must be told its size and quality: medium and 1024x1024 are what the other models do unasked.
_GPT_IMAGE_2: Final = _gpt_image(_ANY, constants=((to("quality"), "medium"),), prompt_max=4000)
# The pages of these editors call `n` and `size` required; the shape of an edit is always known.
_GPT_EDITOR: Final = _gpt_image(_THREE, constants=((to("n"), 1),), prompt_max=4000)

GENERATORS: Mapping[str, Model] = {
    "black-forest-labs/flux-2-max": _flux_2(least_steps=15),
    "black-forest-labs/flux-2-pro": _flux_2(least_steps=15),
    "black-forest-labs/flux-2-flex": _flux_2(least_steps=6),
    "black-forest-labs/flux-2-dev": _FLUX_2_DEV,
    "black-forest-labs/flux-kontext-max": _KONTEXT,
    "black-forest-labs/flux-kontext-pro": _KONTEXT,
    "black-forest-labs/flux-kontext-dev": _KONTEXT_DEV,
    "black-forest-labs/flux-1.1-pro": Model(
        # Up to 2048 a side and about 2 megapixels in all; multiples of 32 as at the model's other hosts.
        offers=Offers(Grid(_custom, 32, 256, 2048, pixels_most=2_000_000), ratios=_ratios()),
        rows={**_SEED, **_UPSAMPLING, "safety_tolerance": safety_from(to("safety_tolerance"), 0, 5)},
    ),
    "black-forest-labs/flux-pro": Model(
        offers=Offers(Grid(_custom, 32, 256, 1440), ratios=_ratios()),
        rows={
            **_SEED,
            **_UPSAMPLING,
            **_steps("steps", 1, 50, (12, 25, 50)),
            "guidance": within(to("guidance"), 0, 50),
            "safety_tolerance": safety_from(to("safety_tolerance"), 1, 5),
        },
        output=_output("png", "jpg", "webp"),
    ),
    "black-forest-labs/flux-dev": Model(
        offers=Offers(ratios=_ratios("0.25", "1", "2")),
        rows={
            **_SEED,
            **_CHECKER,
            **_steps("num_inference_steps", 1, 50, (12, 28, 50)),
            "guidance": within(to("guidance"), 0, 50),
        },
    ),
    "black-forest-labs/flux-schnell": Model(
        offers=Offers(ratios=_ratios("0.25", "1")),
        rows={**_SEED, **_CHECKER, **_steps("num_inference_steps", 1, 4, (2, 4, 4))},
    ),
    "gpt-image-1": _gpt_image(_THREE, style=True),
    "gpt-image-1-mini": _gpt_image(_THREE),
    "gpt-image-2": _GPT_IMAGE_2,
}
"""What IMAGE_GENERATOR takes."""


def _keeping_shape(model: Model, **rows: Row) -> Model:
    """The same model as an editor, which keeps the picture's shape where no aspect ratio is said: the pages' default
    is `match_input_image`."""
    return replace(model, offers=replace(model.offers, matching={}), rows={**model.rows, **rows}, notes="")


EDITORS: Mapping[str, Model] = {
    "black-forest-labs/flux-2-max": _keeping_shape(_flux_2(least_steps=15)),
    "black-forest-labs/flux-2-pro": _keeping_shape(_flux_2(least_steps=15)),
    "black-forest-labs/flux-2-flex": _keeping_shape(_flux_2(least_steps=6)),
    "black-forest-labs/flux-2-dev": _keeping_shape(_FLUX_2_DEV, **_STRENGTH),
    "black-forest-labs/flux-kontext-max": _keeping_shape(_KONTEXT),
    "black-forest-labs/flux-kontext-pro": _keeping_shape(_KONTEXT),
    "black-forest-labs/flux-kontext-dev": _keeping_shape(_KONTEXT_DEV),
    "gpt-image-1": _GPT_EDITOR,
    "gpt-image-1-mini": _GPT_EDITOR,
    "gpt-image-2": _GPT_IMAGE_2,
}
"""What IMAGE_EDITOR takes beside the picture. The other generators have no page there."""

UNKNOWN: Final = Model()
"""A model without a page here: its prompt alone; what else it takes goes through as extras."""
