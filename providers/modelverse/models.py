"""What ModelVerse's models take, by the number of input pictures.

Source: ucloud-global.com, "Image Generation API" and the page of each model under "image_api", where the two disagree
the page: on it all Kontext models take `n`. GPT Image: compshare.cn, "gpt-image-1"; ucloud-global.com, "gpt-image-1.5";
astraflow.ucloud.cn, "gpt-image-2": they list no input pictures and no background. Image edits of other models than
those here are not documented.

A Kontext model goes by three names: `.../text-to-image` makes pictures from a prompt and takes an aspect ratio, the
bare name edits one picture and takes a strength, `.../multi` edits several and takes an aspect ratio again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from normalization.geometry import Grid, Offers, Ratios, Sizes
from normalization.rules import Count, Output, Row, same, within
from normalization.vocabulary import Format
from providers.rows import THREE_SIZES, as_field, gpt_image_grid, quality_as_steps, quality_words

RATIOS: Final = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")

MULTI_MOST: Final = 4
"""Pictures that a `/multi` model is given: their pages name no bound, and BFL's own API takes four."""

TEXT_TO_IMAGE, MULTI = "/text-to-image", "/multi"


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes. `rows` are those beyond the prompt; parameters without one are lacking."""

    offers: Offers = field(default_factory=Offers)
    rows: Mapping[str, Row] = field(default_factory=dict)
    output: Output = field(default_factory=Output)
    count: Count = field(default_factory=Count)


@dataclass(frozen=True, slots=True)
class Family:
    """What goes by one name to a configuration. `generate` None: it only edits; `edit` None: it takes no picture;
    `edit_several` None: one picture at most."""

    generate: Model | None = None
    edit: Model | None = None
    edit_several: Model | None = None
    variants: bool = False
    """Whether the name on the wire follows from the number of pictures."""

    @property
    def pictures_most(self) -> int:
        return 0 if self.edit is None else 1 if self.edit_several is None else MULTI_MOST

    def model(self, pictures: int) -> Model | None:
        if pictures > 1 and self.edit_several is not None:
            return self.edit_several
        return self.edit if pictures else self.generate


_FOUR: Final = Count("n", most=4)
_FLUX: Final[Mapping[str, Row]] = {
    "negative_prompt": same("negative_prompt"),
    "seed": same("seed"),
    "steps": within("steps", 1, 50),
    "quality": quality_as_steps("steps", 10, 20, 40),
    "guidance": within("guidance_scale", 1, 10),
}
_STRENGTH: Final = {"strength": same("strength")}
_BY_RATIO: Final = Model(Offers(ratios=Ratios("aspect_ratio", RATIOS)), _FLUX, count=_FOUR)
_KEEPING_SHAPE: Final = Model(Offers(matching={}), {**_FLUX, **_STRENGTH}, count=_FOUR)
"""One picture: no field for the shape, which is that of the picture."""

_KONTEXT: Final = Family(_BY_RATIO, _KEEPING_SHAPE, _BY_RATIO, variants=True)

_PIXELS: Final = Offers(Grid(as_field("size"), 16, 256, 1536))
_FLUX_1_DEV: Final = replace(_BY_RATIO, offers=_PIXELS)

_GPT_ROWS: Final[Mapping[str, Row]] = {"quality": quality_words("quality", auto=False)}
# Their output_compression runs the other way (100 = smallest): the encoder's quality is chosen here instead.
_PNG_JPEG: Final = Output("output_format", {Format.PNG: "png", Format.JPEG: "jpeg"})
_PNG_JPEG_WEBP: Final = replace(_PNG_JPEG, names={**_PNG_JPEG.names, Format.WEBP: "webp"})
_GPT_IMAGE_1: Final = Model(Offers(sizes=Sizes(as_field("size"), THREE_SIZES)), _GPT_ROWS, _PNG_JPEG, _FOUR)

FAMILIES: Mapping[str, Family] = {
    "black-forest-labs/flux-kontext-max": _KONTEXT,
    "black-forest-labs/flux-kontext-pro": _KONTEXT,
    "black-forest-labs/flux.1-dev": Family(_FLUX_1_DEV, replace(_FLUX_1_DEV, rows={**_FLUX_1_DEV.rows, **_STRENGTH})),
    "stepfun-ai/step1x-edit": Family(edit=_KEEPING_SHAPE),
    "Qwen/Qwen-Image-Edit": Family(edit=Model(replace(_PIXELS, matching={}), {"seed": same("seed")})),
    "gpt-image-1": Family(_GPT_IMAGE_1),
    "gpt-image-1.5": Family(replace(_GPT_IMAGE_1, output=_PNG_JPEG_WEBP)),
    "gpt-image-2": Family(Model(Offers(gpt_image_grid(as_field("size"))), _GPT_ROWS, _PNG_JPEG, Count("n", most=10))),
}

UNKNOWN: Final = Family(Model())
"""A model without a page here: its prompt alone; what else it takes goes through as extras. Pictures are not sent: a
model that has no use for them would make something else, and charge for it."""


def named(model: str) -> str:
    """The family's name, whichever variant a configuration names."""
    bare = model.removesuffix(TEXT_TO_IMAGE).removesuffix(MULTI)
    return bare if bare in FAMILIES and FAMILIES[bare].variants else model


def on_the_wire(model: str, pictures: int) -> str:
    """The name that takes so many pictures."""
    name = named(model)
    if not FAMILIES.get(name, UNKNOWN).variants or pictures == 1:
        return name
    return name + (MULTI if pictures else TEXT_TO_IMAGE)


NAMES: Final = tuple(
    name + variant
    for name, family in FAMILIES.items()
    for variant in ((TEXT_TO_IMAGE, "", MULTI) if family.variants else ("",))
)
