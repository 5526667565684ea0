"""Any server that speaks OpenAI's images API: OpenAI itself, Lumenfall, LiteLLM, vLLM-Omni, SGLang, LocalAI, sd.cpp.

Two profiles. OpenAI's own models reject every parameter that they do not know, `response_format` among them; the
generic one hands parameters on under our names and lets the operator rename and drop. Source: the pages "Create image"
and "Create image edit" of https://platform.openai.com/docs/api-reference/images, and the servers' own pages for where
they differ. Edits are multipart, or JSON where the configuration says so; a mask is transparent where to edit.

`response_format` is never sent: GPT image models and SGLang's "url" answer it with 400, and both kinds of answer are
read. LocalAI reads "negative prompt" behind a "|" in the prompt; a caller may mean that, so it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

from normalization.errors import ConfigurationError, GenerationFailed
from normalization.geometry import Grid, Offers, Sizes
from normalization.plan import Call
from normalization.rules import ROWS, Count, Output, Profile, Row, Way, same, unsupported
from normalization.vocabulary import Behavior, Format
from providers.base import Done, Failed, FilePart, Inline, Options, Reply, Traits, WireReply, WireRequest
from providers.failures import bad_response, failure
from providers.forms import written
from providers.replies import images_of, mapping, read_object, usage_of
from providers.rows import THREE_SIZES, as_field, gpt_image_grid, lacking, quality_words

SMALL_GPT_IMAGE: Final = ("gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5")
LARGE_GPT_IMAGE: Final = (
    "gpt-image-2",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.6-flare",
    "gpt-image-2.6-sunburst",
    "chatgpt-image-latest",
)

PNG_JPEG_WEBP: Final = {Format.PNG: "png", Format.JPEG: "jpeg", Format.WEBP: "webp"}

_GPT_IMAGE = re.compile(r"gpt-image-(\d+)(?:\.(\d+))?|chatgpt-image")

PICTURES_MOST = 16
"""Pictures of one edit ("Create image edit")."""

DOLLARS_MOST = 10_000
"""For one request: what is beyond it is no price."""

OUR_NAMES: Final = (*ROWS, "n", "size", "output_format", "output_compression")
"""What `rename` and `drop` of the configuration can name."""

NEVER_DROPPED: Final = "prompt"

_WITH_CONTENT = re.compile(r"<sd_cpp_extra_args>.*?</sd_cpp_extra_args>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?\s*sd_cpp_extra_args\s*>", re.IGNORECASE)


class OpenAI:
    """POST {base}/images/generations or {base}/images/edits. `base_url` ends where OpenAI's ends: with /v1."""

    type: ClassVar[str] = "openai"
    base_url: ClassVar[str | None] = None
    traits: ClassVar[Traits] = Traits(any_model=True)
    known_models: ClassVar[tuple[str, ...]] = (*SMALL_GPT_IMAGE, *LARGE_GPT_IMAGE)

    def __init__(self, options: Options) -> None:
        """Raises ConfigurationError where `rename` or `drop` name what is not a parameter."""
        for option, names in (("rename", tuple(options.rename)), ("drop", options.drop)):
            for name in names:
                if name not in OUR_NAMES or (option == "drop" and name == NEVER_DROPPED):
                    accepted = ", ".join(each for each in OUR_NAMES if option != "drop" or each != NEVER_DROPPED)
                    raise ConfigurationError(
                        f"providers.{options.name}.{option}: {name!r} is not a parameter. Accepted: {accepted}."
                    )
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        family = _GPT_IMAGE.match(model.lower().rpartition("/")[2])
        kind = self.options.profile or ("gpt-image" if family else "generic")
        profile = _gpt_image(model, family) if kind == "gpt-image" else _generic(model)
        if self.options.extras is not None:
            profile = replace(profile, extra=self.options.extras)
        if pictures:
            profile = replace(profile, operations=("edit",), input_images_max=PICTURES_MOST, mask="native")
        return self._configured(profile)

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"Authorization": f"Bearer {secret}"}

    def probe(self) -> WireRequest:
        """GET /models, the list of models (platform.openai.com/docs/api-reference/models); not every server has it."""
        return WireRequest("GET", "/models", purpose="poll")

    def submit(self, call: Call, attempt: str) -> WireRequest:
        if not call.pictures:
            return WireRequest("POST", "/images/generations", json=call.payload)
        if self.options.edits == "json":
            return WireRequest("POST", "/images/edits", json=_edit_as_json(call))
        return WireRequest("POST", "/images/edits", form=tuple(_edit_as_form(call)))

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        body = read_object(reply.body)
        if not 200 <= reply.status < 300 or (body is not None and body.get("error")):
            return failure(reply, self.traits)
        if body is None:
            return bad_response("not a JSON object", reply, self.traits)
        artifacts = tuple(images_of(body))
        if not artifacts:
            error = GenerationFailed("the provider answered without a picture")
            return Failed(error, refused=False, outcome="generation_failed")
        return Done(artifacts, usage=usage_of(body), cost_micros=_cost(body))

    def _configured(self, profile: Profile) -> Profile:
        """The profile with the operator's `rename` and `drop` in place."""
        rename, dropped = self.options.rename, frozenset(self.options.drop)
        rows = {
            name: unsupported("dropped by configuration")
            if name in dropped
            else tuple(replace(way, to=rename[name]) if way.to and name in rename else way for way in row)
            for name, row in profile.rows.items()
        }

        def to(name: str) -> str | None:
            return None if name in dropped else rename.get(name, name)

        size, form = to("size"), to("output_format")
        return replace(
            profile,
            rows=rows,
            offers=Offers() if size is None else _offers(profile.offers, size),
            count=Count() if to("n") is None else replace(profile.count, to=to("n")),
            # A server that is not told which format to make may make any.
            output=replace(
                profile.output,
                to=form,
                names={} if form is None else profile.output.names,
                quality_to=to("output_compression"),
            ),
        )


def _gpt_image(model: str, family: re.Match[str] | None) -> Profile:
    """`family` None: a model of another name, such as an Azure deployment's, that is said to be one of these; the three
    sizes are the ones that all of them take."""
    version = (int(family[1]), int(family[2] or 0)) if family is not None and family[1] else None
    small = version is not None and version < (2, 0)
    offers = Offers(sizes=Sizes(as_field("size"), THREE_SIZES))
    if family is not None and not small:
        offers = Offers(gpt_image_grid(as_field("size")))
    rows = {
        "quality": quality_words("quality", best="max" if version is not None and version >= (2, 5) else "high"),
        **(_fidelity(mini="mini" in model.lower()) if small else lacking("input_fidelity")),
        **{name: same(name) for name in ("prompt", "background", "moderation", "user", "safety_identifier")},
        **lacking("negative_prompt", "seed", "steps", "guidance", "strength", "style", "safety_tolerance"),
        **lacking("prompt_upsampling", "enable_safety_checker", "sync_mode"),
    }
    return _profile(model, rows, offers, extra="drop")


def _fidelity(*, mini: bool) -> dict[str, Row]:
    """The mini model knows low fidelity alone, and later models than these take no word for it."""
    if not mini:
        return {"input_fidelity": same("input_fidelity")}
    low = Way(Behavior.EMULATED, takes=lambda value: value == "low")
    return {"input_fidelity": (low, *unsupported("the fidelity of this model is low"))}


def _generic(model: str) -> Profile:
    rows = {**{name: same(name) for name in ROWS}, "prompt": _without_tags("prompt")}
    return _profile(model, rows, Offers(Grid(as_field("size"), 16, 64, 14144)), extra="forward")


def _profile(model: str, rows: Mapping[str, Row], offers: Offers, *, extra: Literal["forward", "drop"]) -> Profile:
    return Profile(
        provider=OpenAI.type,
        model=model,
        rows=rows,
        offers=offers,
        constants=(("model", model),),
        output=Output("output_format", PNG_JPEG_WEBP, quality_to="output_compression"),
        count=Count("n", most=10),
        extra=extra,
    )


def _offers(offers: Offers, name: str) -> Offers:
    """The same offers, written to another field."""
    write = as_field(name)
    return Offers(
        grid=offers.grid and replace(offers.grid, write=write),
        sizes=offers.sizes and replace(offers.sizes, write=write),
    )


def _without_tags(to: str) -> Row:
    """A prompt, without what sd.cpp would obey instead of draw (its server's API notes, "sd_cpp_extra_args")."""
    why = "a tag that some servers take as instructions was taken out"
    return (
        Way(Behavior.RENAMED, to, takes=lambda prompt: not _TAG.search(prompt)),
        Way(Behavior.CONVERTED, to, using=_cleaned, why=why),
    )


def _cleaned(prompt: str) -> str:
    """A space in each place, so that no two halves of a tag can meet and be one."""
    return _TAG.sub(" ", _WITH_CONTENT.sub(" ", prompt))


def _cost(body: Mapping[str, Any]) -> int | None:
    """Micro-dollars, where the answer says as Lumenfall's do what it cost, in `metadata`."""
    told = mapping(body.get("metadata"))
    cost = told.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float) or told.get("cost_currency", "USD") != "USD":
        return None
    return round(cost * 1_000_000) if 0 <= cost <= DOLLARS_MOST else None


def _edit_as_json(call: Call) -> Mapping[str, Any]:
    """Pictures by reference, each a data: URI."""
    body = {**call.payload, "images": [{"image_url": Inline(picture)} for picture in call.pictures]}
    return body if call.mask is None else {**body, "mask": {"image_url": Inline(call.mask)}}


def _edit_as_form(call: Call) -> Iterator[tuple[str, str] | FilePart]:
    """Text fields, then files, by the names of OpenAI's own clients: `image` for one and `image[]` for several."""
    yield from written(call.payload)
    several = len(call.pictures) > 1
    for number, picture in enumerate(call.pictures, 1):
        filename = f"image-{number}" if several else "image"
        yield FilePart("image[]" if several else "image", f"{filename}.{picture.format.extension}", picture)
    if call.mask is not None:
        yield FilePart("mask", f"mask.{call.mask.format.extension}", call.mask)
