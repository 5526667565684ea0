"""Every parameter of a picture request: its kind, its bounds and its other names, in one table.

The reader (`normalization.reading`) and the JSON Schema (`normalization.schema`) are both made from it, so that what
is documented is what is enforced. The names are OpenAI's (https://platform.openai.com/docs/api-reference/images/create)
and, for what OpenAI lacks, Lumenfall's (https://docs.lumenfall.ai/api-reference/images/generate).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from normalization.geometry import SIDE_MOST

Kind = Literal["string", "integer", "number", "boolean", "choice", "size", "aspect_ratio", "resolution"]

CUSTOM = "custom"
MATCH_INPUT = "match_input_image"

NUMERAL = r"[0-9]{1,5}(?:\.[0-9]{1,20})?"
"""A number inside a ratio or tier: ASCII digits, no exponent, so that reading it exactly stays cheap."""
PIXELS = r"[1-9][0-9]{0,4}"

RATIO_PATTERN = f"{NUMERAL}:{NUMERAL}"
SIZE_PATTERN = f"{PIXELS}x{PIXELS}"
TIER_PATTERN = f"{NUMERAL}(?:K| MP)?"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `least` and `most` bound a number's value or a string's length in characters; None = unbounded.

    `about` is one line for whoever reads the schema. `default` is what an absent value means, where that is a value.
    """

    name: str
    kind: Kind
    about: str
    least: int | None = None
    most: int | None = None
    least_excluded: bool = False
    choices: tuple[str, ...] = ()
    """The words that are accepted: all of them for a choice, those besides the pattern for a shape."""
    pattern: str | None = None
    """What a string looks like, besides `choices`; for an integer: that providers spell it as a string too."""
    synonyms: tuple[str, ...] = ()
    """Other names for the same at top level."""
    image_option: str | None = None
    """Its name in `provider_options.image` (ImageProviderOptions at docs.modular.com); None = not there."""
    default: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names at top level, the one that wins first."""
        return (self.name, *self.synonyms)

    @property
    def accepts(self) -> str:
        """What is accepted, in words for an error message."""
        return _ACCEPTS[self.kind](self)


def _bounds(parameter: Parameter) -> str:
    least, most = parameter.least, parameter.most
    if parameter.least_excluded:
        return f"above {least}" if most is None else f"above {least}, up to {most}"
    return f"of at least {least}" if most is None else f"from {least} to {most}"


_ACCEPTS: Mapping[Kind, Callable[[Parameter], str]] = {
    "string": lambda it: f"a string of {it.least} to {it.most} characters",
    "integer": lambda it: f"an integer {_bounds(it)}",
    "number": lambda it: f"a number {_bounds(it)}",
    "boolean": lambda it: "true or false",
    "choice": lambda it: f"one of {', '.join(it.choices)}",
    "size": lambda it: (
        f"auto, WxH in pixels such as 1024x768 with each side from 1 to {SIDE_MOST}, or W:H such as 16:9"
    ),
    "aspect_ratio": lambda it: (
        f"auto, W:H such as 16:9 or 2.39:1 no longer than {SIDE_MOST}:1, match_input_image (with an input image), "
        "or custom (with width and height)"
    ),
    "resolution": lambda it: "auto, a tier such as 0.5K, 1K or 4K, or megapixels such as 0.25 or 2 MP, above 0",
}

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("model", "string", "Name of the model; absent, the default model.", least=1, most=256),
    Parameter("prompt", "string", "What the picture shows.", least=1, most=32000),
    Parameter(
        "n",
        "integer",
        "How many pictures to make.",
        least=1,
        most=10,
        synonyms=("num_images",),
        image_option="num_images",
        default=1,
    ),
    Parameter(
        "size",
        "size",
        "Pixels as WxH, delivered exactly, or a ratio as W:H. WxH wins over every other parameter of shape.",
        choices=("auto",),
        pattern=f"{SIZE_PATTERN}|{RATIO_PATTERN}",
    ),
    Parameter(
        "quality",
        "choice",
        "How much work goes into the picture.",
        choices=("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"),
    ),
    Parameter("style", "string", "The style, in the model's own words, such as vivid or natural.", least=1, most=64),
    Parameter(
        "response_format",
        "choice",
        "How the picture travels: a URL hosted here for a while, or base64 in the answer.",
        choices=("url", "b64_json"),
        image_option="response_format",
    ),
    Parameter(
        "output_format",
        "choice",
        "The picture's file format; jpg is jpeg.",
        choices=("png", "jpeg", "jpg", "gif", "webp", "avif"),
        image_option="output_format",
    ),
    Parameter(
        "output_compression",
        "integer",
        "Encoder quality of a lossy format, 100 = best. output_quality wins over it.",
        least=0,
        most=100,
    ),
    Parameter(
        "background",
        "choice",
        "Whether the picture's background is transparent.",
        choices=("transparent", "opaque", "auto"),
    ),
    Parameter("moderation", "choice", "How strictly content is filtered.", choices=("low", "auto")),
    Parameter("stream", "boolean", "Answer with server-sent events.", default=False),
    Parameter(
        "partial_images", "integer", "How many previews a stream may hold for a picture.", least=0, most=3, default=0
    ),
    Parameter("user", "string", "Who the picture is for, for abuse reports.", least=0, most=512),
    Parameter("safety_identifier", "string", "Who the picture is for, as a stable hash.", least=0, most=512),
    Parameter("input_fidelity", "choice", "How closely an edit keeps to the input pictures.", choices=("high", "low")),
    Parameter(
        "aspect_ratio",
        "aspect_ratio",
        "Shape alone, as W:H; size wins over it.",
        choices=("auto", CUSTOM, MATCH_INPUT),
        pattern=RATIO_PATTERN,
    ),
    Parameter(
        "resolution",
        "resolution",
        "Scale alone: 1K has the area of 1024x1024 pixels; a bare number or N MP is megapixels.",
        least=0,
        most=99999,
        least_excluded=True,
        choices=("auto",),
        pattern=TIER_PATTERN,
    ),
    Parameter("seed", "integer", "Makes a picture repeatable; -1 = random. Reduced modulo 2**32.", least=-1),
    Parameter(
        "negative_prompt",
        "string",
        "What the picture should not show.",
        least=0,
        most=32000,
        image_option="negative_prompt",
    ),
    Parameter(
        "steps",
        "integer",
        "Denoising steps.",
        least=1,
        most=1000,
        synonyms=("num_inference_steps",),
        image_option="steps",
    ),
    Parameter(
        "guidance",
        "number",
        "How literally the prompt is followed.",
        least=0,
        most=100,
        synonyms=("guidance_scale", "cfg_scale"),
        image_option="guidance_scale",
    ),
    Parameter("width", "integer", "Pixels; only together with height.", least=1, most=SIDE_MOST, image_option="width"),
    Parameter("height", "integer", "Pixels; only together with width.", least=1, most=SIDE_MOST, image_option="height"),
    Parameter("output_quality", "integer", "Encoder quality of a lossy format, 100 = best.", least=0, most=100),
    Parameter(
        "safety_tolerance",
        "integer",
        "How much is let through, 0 = strictest.",
        least=0,
        most=6,
        pattern="[0-6]",
    ),
    Parameter("prompt_upsampling", "boolean", "Let the provider rewrite the prompt."),
    Parameter(
        "strength",
        "number",
        "How far an edit may leave the input picture.",
        least=0,
        most=1,
        least_excluded=True,
        image_option="strength",
    ),
    Parameter("enable_safety_checker", "boolean", "Forwarded where the provider has it, else ignored."),
    Parameter("sync_mode", "boolean", "Forwarded where the provider has it, else ignored."),
)

FAMILY_OPTIONS: tuple[Parameter, ...] = (
    Parameter("true_cfg_scale", "number", "True classifier-free guidance.", least=0, least_excluded=True),
    Parameter("cfg_normalization", "boolean", "Normalise the guided prediction."),
    Parameter("cfg_truncation", "number", "Where guidance stops.", least=0, least_excluded=True),
    Parameter("flow_shift", "number", "Shift of the noise schedule.", least=0, least_excluded=True),
    Parameter("secondary_prompt", "string", "Prompt of the second text encoder.", least=0, most=32000),
    Parameter(
        "secondary_negative_prompt", "string", "Negative prompt of the second text encoder.", least=0, most=32000
    ),
)
"""What `provider_options.image` has for some families of models only; passed on as extras."""

BY_NAME: Mapping[str, Parameter] = {name: parameter for parameter in PARAMETERS for name in parameter.names}
IMAGE_OPTIONS: Mapping[str, Parameter] = {
    **{parameter.image_option: parameter for parameter in PARAMETERS if parameter.image_option is not None},
    **{parameter.name: parameter for parameter in FAMILY_OPTIONS},
}
"""Every key of `provider_options.image`."""
