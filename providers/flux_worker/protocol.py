"""The wire between gateway and GPU worker: Modular MAX's POST /v1/responses, both directions.

Sources: docs.modular.com, "Image generation" and the reference of `ImageProviderOptions`; the schema of Modular 26.6,
which forbids unknown keys under `provider_options.image` and ignores them at top level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from providers.flux_worker.words import SEED_MOST, SIDE_LEAST, SIDE_MULTIPLE

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ImageOptions(BaseModel):
    """`provider_options.image`. None = not said: the model's own default."""

    model_config = ConfigDict(extra="forbid")

    negative_prompt: str | None = None
    secondary_prompt: str | None = None
    secondary_negative_prompt: str | None = None
    guidance_scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3.5
    true_cfg_scale: Positive = 1.0
    cfg_normalization: bool = False
    cfg_truncation: Positive = 1.0
    flow_shift: Positive | None = None
    width: Annotated[int, Field(ge=SIDE_LEAST, multiple_of=SIDE_MULTIPLE)] | None = None
    height: Annotated[int, Field(ge=SIDE_LEAST, multiple_of=SIDE_MULTIPLE)] | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    num_images: Annotated[int, Field(ge=1)] = 1
    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    output_format: str = "jpeg"
    response_format: Literal["url", "b64_json"] = "b64_json"


class MaxOptions(BaseModel):
    """`provider_options.max`: which of a server's endpoints is meant. This wire has one."""

    model_config = ConfigDict(extra="forbid")

    target_endpoint: str | None = None


class ProviderOptions(BaseModel):
    """`max`, `video` and `audio` are taken and say nothing of a picture, as with MAX. `image` None = not said."""

    model_config = ConfigDict(extra="forbid")

    image: ImageOptions | None = None
    max: MaxOptions | None = None
    video: Any = None
    audio: Any = None


class InputText(BaseModel):
    type: Literal["input_text"] = "input_text"
    text: str


class InputImage(BaseModel):
    type: Literal["input_image"] = "input_image"
    image_url: str
    """A data: URI. An address would be fetched by the worker itself, which must not browse for strangers."""


# What a value was meant as, so that an error tells of that alone, by the path that the value has in the request: tags
# with spaces can be no part of it.
_TEXT, _LIST = "a text", "a list"


def _text_or_list(given: Any) -> str | None:
    if isinstance(given, str):
        return _TEXT
    return _LIST if isinstance(given, list) else None


def _kind_of_part(given: Any) -> str | None:
    if isinstance(given, Mapping):
        kind = given.get("type", "input_image" if "image_url" in given else "input_text")
    else:
        kind = getattr(given, "type", None)
    return {"input_text": "a text part", "input_image": "an image part"}.get(str(kind))


Part = Annotated[
    Annotated[InputText, Tag("a text part")] | Annotated[InputImage, Tag("an image part")],
    Discriminator(
        _kind_of_part,
        custom_error_type="part",
        custom_error_message="a part must be an object of the type 'input_text' or 'input_image'",
    ),
]


class Message(BaseModel):
    """Whoever says it, its text is the prompt."""

    role: Literal["user", "assistant", "system", "developer"] = "user"
    content: Annotated[
        Annotated[str, Tag(_TEXT)] | Annotated[list[Part], Tag(_LIST)],
        Discriminator(
            _text_or_list, custom_error_type="content", custom_error_message="must be a text or a list of parts"
        ),
    ]


class Request(BaseModel):
    """The body of a request. `input` is the prompt, or exactly one message with pictures and the prompt."""

    model: str
    input: Annotated[
        Annotated[str, Tag(_TEXT)] | Annotated[list[Message], Field(min_length=1, max_length=1), Tag(_LIST)],
        Discriminator(
            _text_or_list, custom_error_type="input", custom_error_message="must be a text or a list with one message"
        ),
    ]
    seed: Annotated[int, Field(ge=0, le=SEED_MOST)] | None = None
    user: str | None = None
    stream: Literal[False] = False
    provider_options: ProviderOptions = Field(default_factory=lambda: ProviderOptions(image=ImageOptions()))
    """Given without `image`, the picture comes by address; not given at all, in base64."""


class OutputImage(BaseModel):
    """One picture: its base64 without prefix, or an address under which the worker serves it."""

    type: Literal["output_image"] = "output_image"
    image_data: str | None = None
    image_url: str | None = None
    format: str | None = None


class OutputMessage(BaseModel):
    """All pictures of a request, in order. Unlike OpenAI's, it has no `type`."""

    id: str = ""
    role: Literal["assistant"] = "assistant"
    status: str = "completed"
    content: list[OutputImage]


class Response(BaseModel):
    """The body of an answer; fields that are None are left out of it."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: str = "completed"
    model: str
    output: list[OutputMessage]
    usage: dict[str, Any] | None = None


class Error(BaseModel):
    """What is wrong, in OpenAI's envelope. `code` is the HTTP status as text, or a finer word of the worker's own."""

    code: str
    message: str
    param: str = ""
    type: str


class ErrorBody(BaseModel):
    error: Error
