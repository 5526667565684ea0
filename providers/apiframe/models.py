"""What apiframe's models take: one row of facts for each model whose fields a public text states.

Sources: the pages of the models at docs-v2.apiframe.ai/docs/images, where they name a field; the OpenAPI document in
apiframe's own Node SDK (github.com/apiframe-ai/apiframe-nodejs-sdk, openapi.json) for the values of fields; Replicate's
schemas of the same models, which apiframe's fields mirror, for what both leave open. The pages outrank the document:
for Flux it writes "1MP" and knows no "custom" ratio, the pages write "1 MP" and do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from normalization.geometry import Grid, Offers, Ratios, Sizes
from normalization.rules import Count, Output, Row, one_of, same, unsupported, within
from normalization.vocabulary import Format, Size, Tier
from providers.rows import FOUR_TIERS, NINE_RATIOS, THREE_SIZES, prompt_alone, quality_as_steps, quality_words

JPG_PNG_WEBP: Final = {Format.PNG: "png", Format.JPEG: "jpg", Format.WEBP: "webp"}
JPG_PNG: Final = {Format.PNG: "png", Format.JPEG: "jpg"}
PNG_JPEG_WEBP: Final = {Format.PNG: "png", Format.JPEG: "jpeg", Format.WEBP: "webp"}

ULTRA_RATIOS: Final = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
GEMINI_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
SEEDREAM_RATIOS: Final = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")
IMAGEN_RATIOS: Final = ("1:1", "9:16", "16:9", "3:4", "4:3")
GPT_IMAGE_RATIOS: Final = ("1:1", "3:2", "2:3")
GROK_RATIOS: Final = ("1:1", "2:3", "3:2", "16:9", "9:16")
QWEN_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9", "21:9", "2:1", "1:2")
REVE_RATIOS: Final = ("16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "1:1")
MIDJOURNEY_RATIOS: Final = (*GEMINI_RATIOS, "9:21", "2:1", "1:2", "7:4", "4:7")
"""Midjourney takes any whole `W:H`; these are what is offered of it."""

SEEDREAM_4_5_PIXELS: Final = 3_686_400
"""The least that ByteDance's own API takes of Seedream 4.5, 2560x1440; apiframe's page bounds only the sides."""


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes. `under` is its object of parameters, which extras reach; None = it has none that we know,
    and extras stand beside the prompt, where provider_options can name the object."""

    under: str | None = None
    rows: Mapping[str, Row] = field(default_factory=lambda: prompt_alone("prompt"))
    offers: Offers = field(default_factory=Offers)
    output: Output = field(default_factory=Output)
    count: Count = field(default_factory=Count)


UNKNOWN: Final = Model()
"""Any other model: the prompt alone."""


@dataclass(frozen=True, slots=True)
class Flux:
    """What differs between the Flux models. `side_most` None: ratios go by name alone, pixels cannot be asked for.

    `width` and `height` count only beside the aspect ratio "custom", and then `resolution` does not. What is made
    where no format is said is silent at apiframe and webp at Replicate, so one is always said. `multiple` is what
    Replicate rounds sides to.
    """

    side_most: int | None = 2048
    multiple: int = 16
    ratios: tuple[str, ...] = NINE_RATIOS
    tiers: tuple[Tier, ...] = ()
    tier_to: str | None = "fluxParams.resolution"
    formats: Mapping[Format, str] = field(default_factory=lambda: JPG_PNG_WEBP)
    quality_to: str | None = "fluxParams.output_quality"
    guided: bool = False
    upsampling: bool = False

    @property
    def model(self) -> Model:
        output = Output("fluxParams.output_format", self.formats, always=True, quality_to=self.quality_to)
        return Model("fluxParams", self._rows(), self._offers(), output)

    def _offers(self) -> Offers:
        ratios = Ratios("fluxParams.aspect_ratio", self.ratios, self.tiers, self.tier_to if self.tiers else None)
        if self.side_most is None:
            return Offers(ratios=ratios)
        pixels = _custom("fluxParams", "aspect_ratio")
        return Offers(Grid(pixels, self.multiple, least=256, most=self.side_most), ratios=ratios)

    def _rows(self) -> Mapping[str, Row]:
        rows = {**prompt_alone("prompt"), "seed": same("fluxParams.seed")}
        if self.upsampling:
            rows["prompt_upsampling"] = same("fluxParams.prompt_upsampling")
        if self.guided:
            rows["steps"] = within("fluxParams.steps", 1, 50)
            rows["guidance"] = within("fluxParams.guidance", 1.5, 10)
            rows["quality"] = quality_as_steps("fluxParams.steps", 12, 30, 50)
        return rows


def _custom(under: str, switch: str) -> Callable[[Size], Mapping[str, Any]]:
    """Pixels that count only where the field `switch` says "custom"."""
    return lambda size: {
        f"{under}.{switch}": "custom",
        f"{under}.width": size.width,
        f"{under}.height": size.height,
    }


FLUX: Mapping[str, Model] = {
    "flux-2-max": Flux(tiers=FOUR_TIERS).model,
    "flux-2-pro": Flux(tiers=FOUR_TIERS, upsampling=True).model,
    "flux-2-flex": Flux(multiple=32, tiers=FOUR_TIERS, upsampling=True, guided=True).model,
    "flux-2-dev": Flux(multiple=32).model,
    "flux-1.1-pro": Flux(side_most=1440, multiple=32, upsampling=True).model,
    "flux-1.1-pro-ultra": Flux(
        side_most=None,
        ratios=ULTRA_RATIOS,
        tiers=(Tier.megapixels("4"),),  # the only one it makes: nothing is sent
        tier_to=None,
        formats=JPG_PNG,
        quality_to=None,
    ).model,
}

ANY_FLUX: Final = Flux(side_most=None).model
"""A Flux model of which no page is known: the fields that all of them share."""

_FLUX_WITH_OTHER_OBJECTS = ("flux-lora", "flux-kontext", "flux-fill")


def _nano_banana(tiers: tuple[Tier, ...], tier_to: str | None = "nanoBananaParams.resolution") -> Model:
    """Ratios as docs.apiframe.ai has them for Nano Banana Pro and Google for all three; no seed, no pixels."""
    return Model(
        "nanoBananaParams",
        offers=Offers(ratios=Ratios("nanoBananaParams.aspect_ratio", GEMINI_RATIOS, tiers, tier_to)),
        output=Output("nanoBananaParams.output_format", JPG_PNG_WEBP, always=True),
    )


_1K_2K_4K = (Tier.k("1"), Tier.k("2"), Tier.k("4"))

NANO_BANANA: Mapping[str, Model] = {
    "nano-banana": _nano_banana((Tier.k("1"),), None),  # the only one it makes: nothing is sent
    "nano-banana-pro": _nano_banana(_1K_2K_4K),
    "nano-banana-2": _nano_banana((Tier.megapixels("0.25", "512px"), *_1K_2K_4K)),
}


def _gpt_image(under: str, offers: Offers, **rows: Row) -> Model:
    return Model(
        under,
        rows={**prompt_alone("prompt"), "quality": quality_words(f"{under}.quality"), **rows},
        offers=offers,
        output=Output(f"{under}.output_format", PNG_JPEG_WEBP, always=True),  # webp where nothing is said
        count=Count(f"{under}.number_of_images", most=10),
    )


def _as_ratio(to: str) -> Callable[[Size], Mapping[str, str]]:
    """GPT Image 1.5 makes three sizes, which go by their ratios here."""
    names = dict(zip(THREE_SIZES, GPT_IMAGE_RATIOS, strict=True))
    return lambda size: {to: names.get(size, GPT_IMAGE_RATIOS[0])}


GPT_IMAGE: Mapping[str, Model] = {
    "gpt-image-1.5": _gpt_image(
        "gptImageParams",
        Offers(sizes=Sizes(_as_ratio("gptImageParams.aspect_ratio"), THREE_SIZES)),
        background=one_of(
            "gptImageParams.background",
            {word: word for word in ("auto", "transparent", "opaque")},
            unsupported("the model has no such background"),
        ),
    ),
    "gpt-image-2": _gpt_image(
        "gptImage2Params",
        Offers(ratios=Ratios("gptImage2Params.aspect_ratio", GPT_IMAGE_RATIOS)),
        background=one_of(
            "gptImage2Params.background",
            {word: word for word in ("auto", "opaque")},
            unsupported("the model makes no transparent background"),
        ),
        moderation=one_of(
            "gptImage2Params.moderation",
            {word: word for word in ("auto", "low")},
            unsupported("the model has no such moderation"),
        ),
    ),
}


def _seedream(tiers: tuple[Tier, ...], tier_to: str, grid: Grid | None = None, **rows: Row) -> Model:
    ratios = Ratios("seedreamParams.aspect_ratio", SEEDREAM_RATIOS, tiers, f"seedreamParams.{tier_to}")
    return Model("seedreamParams", {**prompt_alone("prompt"), **rows}, Offers(grid, ratios=ratios))


_BY_RATIO, _BY_SIZE = _custom("seedreamParams", "aspect_ratio"), _custom("seedreamParams", "size")
_SEEDREAM_SEED = same("seedreamParams.seed")

# On which multiples sides are rounded is silent: at 16 none of the usual ones changes them.
SEEDREAM: Mapping[str, Model] = {
    "seedream-3": _seedream(
        (Tier.megapixels("1", "regular"),),
        "size",
        Grid(_BY_RATIO, 16, least=512, most=2048),
        seed=_SEEDREAM_SEED,
        guidance=within("seedreamParams.guidance_scale", 1, 10),
    ),
    "seedream-3.1": _seedream(
        (Tier.k("2"),),
        "resolution",
        Grid(_BY_RATIO, 16, least=512, most=3024),
        seed=_SEEDREAM_SEED,
        prompt_upsampling=same("seedreamParams.use_pre_llm"),
    ),
    "seedream-4": _seedream(
        _1K_2K_4K,
        "size",
        Grid(_BY_SIZE, 16, least=1024, most=4096),
        prompt_upsampling=same("seedreamParams.enhance_prompt"),
    ),
    "seedream-4.5": _seedream(
        (Tier.k("2"), Tier.k("4")),
        "size",
        Grid(_BY_SIZE, 16, least=1024, most=4096, pixels_least=SEEDREAM_4_5_PIXELS),
    ),
    "seedream-5-lite": Model(
        "seedreamParams",
        offers=Offers(
            ratios=Ratios(
                "seedreamParams.aspect_ratio", SEEDREAM_RATIOS, (Tier.k("2"), Tier.k("3")), "seedreamParams.size"
            )
        ),
        output=Output("seedreamParams.output_format", JPG_PNG),  # png where nothing is said
    ),
}


def _by_ratio(under: str, names: tuple[str, ...], **rows: Row) -> Model:
    """A model that takes a ratio by name and no pixels."""
    offers = Offers(ratios=Ratios(f"{under}.aspect_ratio", names))
    return Model(under, {**prompt_alone("prompt"), **rows}, offers)


def _imagen() -> Model:
    tiers = (Tier.k("1"), Tier.k("2"))
    return Model(
        "imagenParams",
        offers=Offers(ratios=Ratios("imagenParams.aspect_ratio", IMAGEN_RATIOS, tiers, "imagenParams.image_size")),
        output=Output("imagenParams.output_format", JPG_PNG, always=True),
    )


def _qwen_image() -> Model:
    return _by_ratio(
        "qwenImage2Params",
        QWEN_RATIOS,
        seed=same("qwenImage2Params.seed"),
        negative_prompt=same("qwenImage2Params.negative_prompt"),
    )


OTHERS: Mapping[str, Model] = {
    # A job of Midjourney's is always four pictures, so that up to four cost one job.
    "midjourney": Model(
        "midjourneyParams",
        offers=Offers(ratios=Ratios("midjourneyParams.aspect_ratio", MIDJOURNEY_RATIOS)),
        count=Count(most=4),
    ),
    "grok-imagine-image": _by_ratio("grokImagineParams", GROK_RATIOS),
    "imagen-3": _imagen(),
    "imagen-3-fast": _imagen(),
    "imagen-4": _imagen(),
    "imagen-4-fast": _imagen(),
    "imagen-4-ultra": _imagen(),
    "qwen-image-2": _qwen_image(),
    "qwen-image-2-pro": _qwen_image(),
    "reve-create": _by_ratio("reveParams", REVE_RATIOS, seed=same("reveParams.seed")),
}

MODELS: Mapping[str, Model] = {**FLUX, **NANO_BANANA, **GPT_IMAGE, **SEEDREAM, **OTHERS}


def model_of(name: str) -> Model:
    """What is known of a model id; of one that no page describes, what its family shares or the prompt alone."""
    known = MODELS.get(name)
    if known is not None:
        return known
    other = name.startswith(_FLUX_WITH_OTHER_OBJECTS)
    return ANY_FLUX if name.startswith("flux") and not other else UNKNOWN
