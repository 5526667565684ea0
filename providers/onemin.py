"""1min.ai: one synchronous call for every feature, whose parameters are an object of their own for each model.

Source: docs.1min.ai, "AI for Image", one page per model: the same thing is `steps` here and `num_inference_steps`
there, with other bounds. Which models have which is the table below.

Pictures are made one a call, also by the models that take `n`: the answer holds one signed address, whatever the
number of pictures, and the keys of the others lead to a private bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from normalization.errors import BadUpstreamImage, GenerationFailed
from normalization.geometry import Grid, Offers, Ratios, Sizes
from normalization.plan import Call
from normalization.rules import Output, Profile, Row, converted, same, within
from normalization.vocabulary import Format, Size, Tier
from providers.base import Done, Failed, Options, Reply, Traits, WireReply, WireRequest
from providers.failures import MODERATION_OF_A_JOB, bad_response, complaint_in, failure, moderated, redacted
from providers.prices import price_of
from providers.replies import artifact, mapping, read_object, sequence, text
from providers.rows import (
    THREE_SIZES,
    as_field,
    gpt_image_grid,
    prompt_alone,
    quality_as_steps,
    quality_words,
    safety_from,
)

FIELDS = "promptObject"
ASSETS = "https://asset.1min.ai/"
"""Where the keys of results lead."""

SEVEN_RATIOS: Final = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:5", "5:4")


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes. `rows` are those beyond the prompt; parameters without one are lacking."""

    offers: Offers = field(default_factory=Offers)
    rows: Mapping[str, Row] = field(default_factory=dict)
    output: Output = field(default_factory=lambda: Output(names={}))
    """Without a field for it, what comes back is not known before."""
    constants: tuple[tuple[str, Any], ...] = ()
    prompt_max: int | None = None


def _to(name: str) -> str:
    return f"{FIELDS}.{name}"


def _steps(name: str, least: int, most: int, presets: tuple[int, int, int]) -> dict[str, Row]:
    return {"steps": within(_to(name), least, most), "quality": quality_as_steps(_to(name), *presets)}


def _ratios(*megapixels: str) -> Ratios:
    """The seven ratios, with the areas that the model offers, spelled as bare numbers."""
    tiers = tuple(Tier.megapixels(area, area) for area in megapixels)
    return Ratios(_to("aspect_ratio"), SEVEN_RATIOS, tiers, _to("megapixels") if tiers else None)


def _custom(size: Size) -> Mapping[str, Any]:
    return {_to("aspect_ratio"): "custom", _to("width"): size.width, _to("height"): size.height}


def _output(*names: str) -> Output:
    """png is asked for by name: what comes unasked differs from model to model."""
    formats = {"jpg": Format.JPEG, "jpeg": Format.JPEG, "png": Format.PNG, "webp": Format.WEBP}
    return Output(_to("output_format"), {formats[name]: name for name in names}, True, _to("output_quality"))


_SEED: Final = {"seed": same(_to("seed"))}
_UPSAMPLING: Final = {"prompt_upsampling": same(_to("prompt_upsampling"))}
_CHECKER: Final = {
    "enable_safety_checker": converted(_to("disable_safety_checker"), using=lambda enabled: not enabled),
}


def _flux_2(least_steps: int) -> Model:
    return Model(
        offers=Offers(ratios=_ratios()),
        rows={
            **_SEED,
            **_UPSAMPLING,
            **_steps("steps", least_steps, 50, (15, 28, 50)),
            "guidance": within(_to("guidance"), 2, 5),
            "safety_tolerance": safety_from(_to("safety_tolerance"), 1, 6),
        },
        output=_output("png", "jpg"),
    )


def _gpt_image(offers: Offers, *, style: bool = False, required: bool = False) -> Model:
    """`required`: size and quality must be there; medium and 1024x1024 are what the other models do unasked."""
    rows = {
        "quality": quality_words(_to("quality"), auto=False),
        "background": same(_to("background")),
    }
    return Model(
        offers=offers,
        rows={**rows, "style": same(_to("style"))} if style else rows,
        # Their output_compression is a quality: "higher = better quality".
        output=Output(
            _to("output_format"),
            {Format.PNG: "png", Format.JPEG: "jpeg", Format.WEBP: "webp"},
            always=True,
            quality_to=_to("output_compression"),
        ),
        constants=((_to("quality"), "medium"),) if required else (),
        prompt_max=4000 if required else None,
    )


_THREE: Final = Offers(sizes=Sizes(as_field(_to("size")), THREE_SIZES))
_ANY: Final = Offers(gpt_image_grid(as_field(_to("size"))), default=Size(1024, 1024))

MODELS: Mapping[str, Model] = {
    "black-forest-labs/flux-2-max": _flux_2(least_steps=15),
    "black-forest-labs/flux-2-pro": _flux_2(least_steps=15),
    "black-forest-labs/flux-2-flex": _flux_2(least_steps=6),
    "black-forest-labs/flux-2-dev": Model(
        offers=Offers(ratios=_ratios("0.25", "1")),
        rows={
            **_SEED,
            **_CHECKER,
            **_steps("num_inference_steps", 1, 50, (12, 28, 50)),
            "guidance": within(_to("guidance"), 0, 10),
        },
        output=_output("png", "jpg", "webp"),
    ),
    "black-forest-labs/flux-1.1-pro": Model(
        # Up to 2048 a side and about 2 megapixels in all; multiples of 32 as at the model's other hosts.
        offers=Offers(Grid(_custom, 32, 256, 2048, pixels_most=2_000_000), ratios=_ratios()),
        rows={**_SEED, **_UPSAMPLING, "safety_tolerance": safety_from(_to("safety_tolerance"), 0, 5)},
    ),
    "black-forest-labs/flux-pro": Model(
        offers=Offers(Grid(_custom, 32, 256, 1440), ratios=_ratios()),
        rows={
            **_SEED,
            **_UPSAMPLING,
            **_steps("steps", 1, 50, (12, 25, 50)),
            "guidance": within(_to("guidance"), 0, 50),
            "safety_tolerance": safety_from(_to("safety_tolerance"), 1, 5),
        },
        output=_output("png", "jpg", "webp"),
    ),
    "black-forest-labs/flux-dev": Model(
        offers=Offers(ratios=_ratios("0.25", "1", "2")),
        rows={
            **_SEED,
            **_CHECKER,
            **_steps("num_inference_steps", 1, 50, (12, 28, 50)),
            "guidance": within(_to("guidance"), 0, 50),
        },
    ),
    "black-forest-labs/flux-schnell": Model(
        offers=Offers(ratios=_ratios("0.25", "1")),
        rows={**_SEED, **_CHECKER, **_steps("num_inference_steps", 1, 4, (2, 4, 4))},
    ),
    "gpt-image-1": _gpt_image(_THREE, style=True),
    "gpt-image-1-mini": _gpt_image(_THREE),
    "gpt-image-2": _gpt_image(_ANY, required=True),
}
UNKNOWN: Final = Model()
"""A model without a page here: its prompt alone; what else it takes goes through as extras."""


class OneMin:
    """POST /api/features with type IMAGE_GENERATOR."""

    type: ClassVar[str] = "onemin"
    base_url: ClassVar[str | None] = "https://api.1min.ai"
    traits: ClassVar[Traits] = Traits()
    known_models: ClassVar[tuple[str, ...]] = tuple(MODELS)

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        known = MODELS.get(model, UNKNOWN)
        return Profile(
            provider=self.type,
            model=model,
            rows={**prompt_alone(_to("prompt")), **known.rows},
            offers=known.offers,
            constants=(("type", "IMAGE_GENERATOR"), ("model", model), *known.constants),
            output=known.output,
            extra="forward",
            extra_under=FIELDS,
            prompt_max=known.prompt_max,
            price=price_of(self.type, model),
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"API-KEY": secret}

    def submit(self, call: Call, attempt: str) -> WireRequest:
        return WireRequest("POST", "/api/features", json=call.payload)

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        if not 200 <= reply.status < 300:
            return failure(reply, self.traits)
        body = read_object(reply.body)
        record = mapping((body or {}).get("aiRecord"))
        if body is None or not record:
            if body is not None and complaint_in(body).said:
                return failure(reply, self.traits)
            return bad_response("no aiRecord", reply, self.traits)
        status = str(record.get("status"))
        if status.upper() != "SUCCESS":
            return _unsuccessful(status, body, record)
        artifacts = tuple(filter(None, (artifact(None, address) for address in _addresses(body, record))))
        if not artifacts:
            error = BadUpstreamImage("the provider reports success without a picture", detail=_identity(record))
            return Failed(error, refused=False, outcome="bad_upstream_image")
        return Done(artifacts)


def _unsuccessful(status: str, body: Mapping[str, Any], record: Mapping[str, Any]) -> Failed:
    """A failure told with HTTP 200. Whether it was charged is not documented."""
    said = complaint_in(record).said or complaint_in(body).said
    detail = f"{_identity(record)} status {redacted(status)}: {redacted(said)}"
    if MODERATION_OF_A_JOB.search(said):
        return moderated(detail)
    error = GenerationFailed("the provider could not make the picture", detail=detail)
    return Failed(error, refused=False, outcome="generation_failed")


def _identity(record: Mapping[str, Any]) -> str:
    return f"record {redacted(str(record.get('uuid')))}"


def _addresses(body: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """The signed addresses, inside the record or beside it; without any, those of the results' keys."""
    for holder in (record, body):
        told = [*sequence(holder.get("temporaryUrls")), holder.get("temporaryUrl")]
        signed = [address for address in told if text(address)]
        if signed:
            return list(dict.fromkeys(signed))
    results = mapping(record.get("aiRecordDetail")).get("resultObject")
    keys = [key for key in ([results] if isinstance(results, str) else sequence(results)) if text(key)]
    return [key if "://" in key else ASSETS + key.lstrip("/") for key in keys]
