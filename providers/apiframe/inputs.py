"""Which of apiframe's models edit, in which field they take pictures, and how many.

Sources: the pages of the models at docs-v2.apiframe.ai/docs/images, among them "Flux 2 Pro" (8, and so "Flux 2 Max"),
"Flux 2 Flex" (10), "Flux 2 Dev" (5), "Seedream 4" (10), "Seedream 4.5" and "Seedream 5 Lite" (14), "GPT Image 1.5" and
"Qwen Image 2"; for Nano Banana (14), GPT Image 2 and Grok the OpenAPI document of apiframe's own Node SDK. How many
pictures a GPT Image takes, both leave open: OpenAI's own API takes 16. That Nano Banana keeps the shape of the first
picture at the word `match_input_image` is said by docs.apiframe.ai, "Nano Banana Pro".

Not here, and so not for edits: `image_prompt` of Flux 1.1 ("guides composition"), which makes another picture in the
spirit of one; Seedream 3 and 3.1, Imagen, Midjourney and Reve, whose pages name no picture; and Flux Fill Pro, which
takes a mask in black and white instead of one with transparency, and cannot do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from normalization.rules import Profile, Row, one_of, unsupported
from normalization.vocabulary import Picture
from providers.base import Hosted

MATCH: Final = "match_input_image"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a model takes pictures: `to` in its object of parameters, a list of at most `most`, or the address alone
    where that is `single`. `matches`: it has a word for the shape of the first. `rows` are what only edits take."""

    under: str
    to: str
    most: int = 1
    single: bool = False
    matches: bool = True
    rows: Mapping[str, Row] = field(default_factory=dict)

    def editing(self, profile: Profile) -> Profile:
        """The profile of an edit, from that of the same model without pictures."""
        matching = {f"{self.under}.aspect_ratio": MATCH} if self.matches else None
        return replace(
            profile,
            rows={**profile.rows, **self.rows},
            offers=replace(profile.offers, matching=matching),
            operations=("edit",),
            input_images_max=self.most,
            hosted=True,
            mask="emulated",
        )

    def put(self, payload: Mapping[str, Any], pictures: tuple[Picture, ...]) -> dict[str, Any]:
        """The payload with the pictures in it."""
        hosted = [Hosted(picture) for picture in pictures]
        params = {**payload.get(self.under, {}), self.to: hosted[0] if self.single else hosted}
        return {**payload, self.under: params}


def _flux(most: int) -> Inputs:
    return Inputs("fluxParams", "input_images", most)


def _seedream(most: int) -> Inputs:
    return Inputs("seedreamParams", "image_input", most)


_NANO_BANANA: Final = Inputs("nanoBananaParams", "image_input", 14)
_QWEN_IMAGE: Final = Inputs("qwenImage2Params", "image", single=True, matches=False)
_FIDELITY: Final = one_of(
    "gptImageParams.input_fidelity",
    {word: word for word in ("low", "high")},
    unsupported("the model has no such fidelity"),
)

INPUTS: Mapping[str, Inputs] = {
    "flux-2-max": _flux(8),
    "flux-2-pro": _flux(8),
    "flux-2-flex": _flux(10),
    "flux-2-dev": _flux(5),
    "nano-banana": _NANO_BANANA,
    "nano-banana-pro": _NANO_BANANA,
    "nano-banana-2": _NANO_BANANA,
    "gpt-image-1.5": Inputs("gptImageParams", "input_images", 16, matches=False, rows={"input_fidelity": _FIDELITY}),
    "gpt-image-2": Inputs("gptImage2Params", "input_images", 16, matches=False),
    "seedream-4": _seedream(10),
    "seedream-4.5": _seedream(14),
    "seedream-5-lite": _seedream(14),
    "grok-imagine-image": Inputs("grokImagineParams", "image", single=True, matches=False),
    "qwen-image-2": _QWEN_IMAGE,
    "qwen-image-2-pro": _QWEN_IMAGE,
}
