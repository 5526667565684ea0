"""From the bytes of a request to pieces of work, or to the refusal that says what is wrong.

It runs in a codec thread: a body may be tens of megabytes of base64.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from PIL import Image
from pydantic import BaseModel, ValidationError

from providers.flux_worker.protocol import ImageOptions, InputImage, Request
from providers.flux_worker.words import IMAGE, SEED_MOST, SIDE_LEAST, SIDE_MULTIPLE
from providers.flux_worker.worker import pictures
from providers.flux_worker.worker.pictures import FORMS, BadPicture, Form
from providers.flux_worker.worker.wire import Extras, Ours, Refusal
from providers.flux_worker.worker.work import Mode, Model, Refused, Work

PROMPT_MOST = 32_000
"""Characters. What the model reads is far less, and the engine says how much; this bounds what it has to count."""

AREA_OF_INPUT = 1024 * 1024
"""Pixels that a picture is capped to where no size is said, as MAX does."""

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one request may ask for. `validation_status` answers what is invalid: MAX says 422."""

    pixels: int = 17_000_000
    steps: int = 1000
    images: int = 10
    bytes: int = 100 * 1024 * 1024
    validation_status: int = 422


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be carried out, as far as can be told without the engine."""

    model: str
    works: tuple[Work, ...]
    form: Form
    by_url: bool
    stream: bool
    previews_form: Form


@dataclass(frozen=True, slots=True)
class Reader:
    """`names`: those that the model goes by."""

    model: Model
    names: tuple[str, ...]
    bounds: Bounds

    def read(self, body: bytes) -> Asked:
        """Raises Refusal."""
        given = _json(body)
        ours = self._parsed(
            Ours, {name: given[name] for name in ("stream", "imagegate") if given.get(name) is not None}
        )
        said = self._parsed(Request, {name: value for name, value in given.items() if name != "stream"})
        if said.model not in self.names:
            serving = ", ".join(f"'{name}'" for name in self.names)
            raise Refusal(404, f"Unknown model '{said.model}', currently serving [{serving}].", param="model")
        options = said.provider_options.image or ImageOptions()
        prompt, sources = self._input(said)
        form = next((known for known in FORMS if known == options.output_format.lower()), None)
        if form is None:
            raise self._invalid(f"{IMAGE}.output_format", f"{options.output_format!r} is not one of {', '.join(FORMS)}")
        extras = ours.imagegate
        if not ours.stream:  # nobody would see them, and each takes the device's time
            extras = extras.model_copy(update={"previews": 0})
        work = self._work(prompt, options, extras, self._pictures(sources))
        seeds = self._seeds(said.seed, options.num_images, ours.imagegate)
        return Asked(
            model=said.model,
            works=tuple(work(seed) for seed in seeds),
            form=form,
            by_url=said.provider_options.image is None or options.response_format == "url",
            stream=bool(ours.stream),
            previews_form=ours.imagegate.previews_format,
        )

    def _parsed(self, kind: type[_M], given: Mapping[str, Any]) -> _M:
        try:
            return kind.model_validate(given)
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part.isidentifier())
            raise self._invalid(where, first["msg"]) from wrong

    def _invalid(self, param: str, message: str) -> Refusal:
        return Refusal(self.bounds.validation_status, f"Validation error: {param}: {message}", param=param)

    def _input(self, said: Request) -> tuple[str, list[str]]:
        """The prompt, and the pictures as they were written."""
        if isinstance(said.input, str):
            prompt, sources = said.input, []
        else:
            content = said.input[0].content
            parts = [] if isinstance(content, str) else content
            texts = [content] if isinstance(content, str) else []
            texts += [part.text for part in parts if not isinstance(part, InputImage)]
            prompt, sources = " ".join(texts), [part.image_url for part in parts if isinstance(part, InputImage)]
        if not prompt.strip():
            raise Refusal(400, "Prompt must be a non-empty string", param="input")
        if len(prompt) > PROMPT_MOST:
            message = f"Prompt is too long: {len(prompt)} characters; at most {PROMPT_MOST} are read"
            raise Refusal(400, message, param="input")
        return prompt, sources

    def _pictures(self, sources: list[str]) -> tuple[Image.Image, ...]:
        most = max(1, self.model.references_most)
        if len(sources) > most:
            raise self._invalid("input.image_url", f"{len(sources)} pictures; this model takes {most}")
        return tuple(self._decoded("input.image_url", each, pictures.reference) for each in sources)

    def _decoded(self, param: str, uri: str, read: Callable[[bytes], Image.Image]) -> Image.Image:
        try:
            return read(pictures.from_data_uri(uri))
        except (ValueError, BadPicture) as wrong:
            raise self._invalid(param, str(wrong)) from wrong

    def _work(
        self, prompt: str, options: ImageOptions, extras: Extras, sources: tuple[Image.Image, ...]
    ) -> Callable[[int], Work]:
        """What makes a piece of work of a seed."""
        masked = None
        if extras.mask is not None:
            if not sources:
                raise self._invalid("imagegate.mask", "a mask needs a picture in `input` that it is of")
            masked = self._decoded("imagegate.mask", extras.mask, pictures.mask)
        width, height = self._size(options, sources)
        steps, model = options.steps or self.model.default_steps, self.model
        if steps > self.bounds.steps:
            raise self._invalid(f"{IMAGE}.steps", f"{steps}; at most {self.bounds.steps} are made")
        guided = "guidance_scale" in options.model_fields_set
        return lambda seed: Work(
            prompt=prompt,
            width=width,
            height=height,
            steps=steps,
            seed=seed,
            guidance=options.guidance_scale if guided else model.default_guidance,
            mode=extras.mode or _mode(model, bool(sources), masked is not None),
            negative_prompt=options.negative_prompt,
            secondary_prompt=options.secondary_prompt,
            secondary_negative_prompt=options.secondary_negative_prompt,
            true_cfg_scale=options.true_cfg_scale,
            strength=options.strength,
            pictures=sources,
            mask=masked,
            quality=extras.quality,
            previews=extras.previews,
        )

    def _size(self, options: ImageOptions, sources: tuple[Image.Image, ...]) -> tuple[int, int]:
        usual = capped(sources[0].size) if sources else self.model.default_size
        width, height = options.width or usual[0], options.height or usual[1]
        if width * height > self.bounds.pixels:
            message = f"{width}x{height} is {width * height} pixels; at most {self.bounds.pixels} are made"
            raise self._invalid(f"{IMAGE}.width", message)
        return width, height

    def _seeds(self, seed: int | None, count: int, extras: Extras) -> list[int]:
        """One for each picture: those given, else the first and its successors."""
        if count > self.bounds.images:
            raise self._invalid(f"{IMAGE}.num_images", f"{count}; at most {self.bounds.images} are made at once")
        if extras.seeds is not None:
            if len(extras.seeds) != count:
                raise self._invalid("imagegate.seeds", f"{len(extras.seeds)} seeds for {count} pictures")
            return extras.seeds
        first = secrets.randbelow(SEED_MOST + 1) if seed is None else seed
        return [(first + place) % (SEED_MOST + 1) for place in range(count)]

    def refusal(self, refused: Refused) -> Refusal:
        """The engine's own refusal, on the wire."""
        if refused.message.startswith("Prompt "):  # a ValueError of MAX's tokenizer is a 400 too
            return Refusal(400, refused.message, param="input")
        return self._invalid(refused.param or "input", refused.message)


def capped(size: tuple[int, int]) -> tuple[int, int]:
    """What comes of an input picture where no size is said: its own, up to a megapixel, in whole cells."""
    scale = min(1.0, math.sqrt(AREA_OF_INPUT / (size[0] * size[1])))
    width, height = (max(SIDE_LEAST, int(side * scale) // SIDE_MULTIPLE * SIDE_MULTIPLE) for side in size)
    return width, height


def _mode(model: Model, sources: bool, masked: bool) -> Mode:
    """What a request without a word on it means. The engine refuses what the model lacks."""
    if masked:
        return "fill" if "fill" in model.modes else "inpaint"
    if not sources:
        return "generate"
    modes: tuple[Mode, ...] = ("edit", "img2img", "fill")  # the last, to be told that it needs a mask
    return next((mode for mode in modes if mode in model.modes), "img2img")


def _json(body: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise Refusal(400, f"Invalid request: not JSON: {wrong}") from wrong
    if not isinstance(given, dict):
        raise Refusal(400, "Invalid request: the body is not a JSON object")
    return given
