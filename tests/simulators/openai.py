"""An OpenAI-compatible server, and OpenAI's own strictness for the names of its models.

Source: "Create image" and "Create image edit" of https://platform.openai.com/docs/api-reference/images. A model called
gpt-image-* or chatgpt-image-* refuses parameters that OpenAI does not know and sizes that it does not make; any other
is as tolerant as local servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.inputs import File, file_of, form_of, from_data_uri, given, hole_of
from tests.simulators.pages import SMALL_GPT_SIZES, large_gpt_size, pixels
from tests.simulators.pictures import Kept

KNOWN = frozenset(
    {
        "background",
        "model",
        "moderation",
        "n",
        "output_compression",
        "output_format",
        "partial_images",
        "prompt",
        "quality",
        "safety_identifier",
        "size",
        "stream",
        "user",
    }
)
EDIT_KNOWN = KNOWN | {"images", "mask", "input_fidelity"}
NUMBERS: Mapping[str, type[int | float]] = {"n": int, "output_compression": int, "seed": int, "strength": float}
"""What a form holds as text and means as a number."""
FORMATS = ("png", "jpeg", "webp")
TYPES = {401: "authentication_error", 429: "rate_limit_error"}

Mode = Literal["b64", "url", "relative", "both"]


class OpenAISimulator(Simulator):
    name: ClassVar[str] = "openai"
    base_path: ClassVar[str] = "/v1"

    def __init__(
        self,
        *,
        key: str | None = None,
        mode: Mode = "b64",
        envelope: Literal["openai", "detail", "text"] = "openai",
        anonymous: bool = False,
    ) -> None:
        """`mode`: how pictures come back. `envelope`: how errors do. `anonymous`: no key is asked for."""
        super().__init__(key=key)
        self.mode, self.envelope, self.anonymous = mode, envelope, anonymous

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/files/"):
            return "picture"
        paths = ("/v1/images/generations", "/v1/images/edits")
        return "submit" if received.method == "POST" and received.path in paths else None

    def authorised(self, received: Received) -> bool:
        return self.anonymous or self.bearer(received)

    def refusal(self, refused: Refused) -> Any:
        if self.envelope == "text":
            return refused.message
        if self.envelope == "detail":
            loc = ["body", refused.param or "prompt"]
            return {"detail": [{"loc": loc, "msg": refused.message}] if refused.status == 422 else refused.message}
        kind = TYPES.get(refused.status, "server_error" if refused.status >= 500 else "invalid_request_error")
        error = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}
        return {"error": error}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = _edit_of(received) if received.path.endswith("/edits") else received.json
        require(isinstance(body, dict), "We could not parse the JSON body of your request.")
        if fault.soft_fail:
            return answer_json(self.refusal(Refused(200, fault.message, code=fault.code)))
        made = self.make_ordered(self.ordered(body), fault)
        mode = "b64" if _is_ours(body) else self.mode
        tokens = {"input_tokens": 10, "output_tokens": 20 * len(made), "total_tokens": 10 + 20 * len(made)}
        data = [self._item(each, mode, fault) for each in made]
        return answer_json({"created": 1, "data": data, "usage": tokens, **fault.extra})

    def ordered(self, body: Any) -> Ordered:
        require(isinstance(body, dict), "We could not parse the JSON body of your request.")
        if _is_ours(body):
            _check_strictly(str(body["model"]), body)
        form = body.get("output_format", "png")
        require(form in FORMATS, "Invalid value: output_format", param="output_format", code="invalid_value")
        count = body.get("n", 1)
        require(isinstance(count, int) and 1 <= count <= 10, "n must be between 1 and 10", param="n")
        require(bool(body.get("prompt")), "prompt is required", param="prompt")
        return Ordered(
            size=_size(body),
            form=str(form),
            count=count,
            quality=body.get("output_compression"),
            seed=body.get("seed"),
            subject=f"{body['prompt']}|{body.get('negative_prompt')}|{body.get('steps')}|{body.get('guidance')}",
            kept=_kept(body),
        )

    def _item(self, data: bytes, mode: Mode, fault: Fault) -> dict[str, Any]:
        written = encoded(data, data_uri=fault.data_uri)
        if mode == "b64":
            return {"b64_json": written, "url": ""}
        address = written if fault.data_uri else self.publish(data)
        if mode == "relative":
            return {"b64_json": None, "url": address.removeprefix(self.origin)}
        return {"url": address} if mode == "url" else {"url": address, "b64_json": written}


def _edit_of(received: Received) -> dict[str, Any]:
    """The body of an edit, multipart or JSON, with the bytes of its pictures in `images` and `mask`. Raises Refused."""
    if received.headers.get("content-type") == "application/json":
        body = dict(received.json or {})
        references = body.get("images")
        require(isinstance(references, list), "images is required", param="images")
        body["images"] = [_referenced(each, "images") for each in references or ()]
        return body | ({"mask": _referenced(body["mask"], "mask")} if "mask" in body else {})
    form = form_of(received)
    single, several = form.pop("image", []), form.pop("image[]", [])
    require(not (single and several) and len(single) <= 1, "image goes once, several go as image[]", param="image")
    body = {"images": [file_of(each, "image") for each in single or several]}
    for name, (value, *more) in form.items():
        require(not more or name.endswith("[]"), f"{name} goes once", param=name)
        if name == "mask":
            body[name] = file_of(value, name)
            continue
        require(not isinstance(value, File), f"{name} is no file", param=name)
        body[name] = _number(name, str(value)) if name in NUMBERS else value
    return body


def _number(name: str, written: str) -> int | float:
    try:
        return NUMBERS[name](written)
    except ValueError:
        raise Refused(400, f"{name} must be a number", param=name) from None


def _referenced(reference: Any, name: str) -> bytes:
    fits = isinstance(reference, dict) and list(reference) == ["image_url"]
    require(fits, f"{name} must be objects with image_url", param=name)
    return from_data_uri(reference["image_url"], name)


def _kept(body: Mapping[str, Any]) -> Kept | None:
    """What an edit shows of its first picture: all but where its mask is open. Raises Refused."""
    if not isinstance(body.get("images"), list):
        return None
    sources = [given(each) for each in body["images"]]
    require(1 <= len(sources) <= 16, "one to sixteen pictures", param="image")
    first = sources[0]
    return Kept(first.colour, hole_of(body["mask"], first)) if "mask" in body else Kept(first.colour)


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether the model is one of OpenAI's own."""
    return re.match(r"gpt-image-|chatgpt-image-", str(body.get("model"))) is not None


def _size(body: Mapping[str, Any]) -> tuple[int, int]:
    size = body.get("size") or "1024x1024"
    return pixels("1024x1024" if size == "auto" else str(size))


def _check_strictly(model: str, body: Mapping[str, Any]) -> None:
    known = EDIT_KNOWN if "images" in body else KNOWN
    fidelities = ("low",) if "mini" in model else ("low", "high") if re.match(r"gpt-image-1\b", model) else ()
    if "input_fidelity" in body:
        fits = body["input_fidelity"] in fidelities
        require(fits, "Invalid value: input_fidelity", param="input_fidelity", code="invalid_value")
    for name in body:
        require(name in known, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    require(len(str(body.get("prompt"))) <= 32000, "prompt is too long", param="prompt")
    qualities = {"low", "medium", "high", "auto"} | (
        {"xhigh", "max"} if "-2.5-" in model or "-2.6-" in model else set()
    )
    require(body.get("quality", "auto") in qualities, "Invalid value: quality", param="quality", code="invalid_value")
    form = body.get("output_format", "png")
    clear = body.get("background") == "transparent"
    require(not (clear and form == "jpeg"), "background transparent needs png or webp", param="background")
    compressed = body.get("output_compression") is not None
    require(not (compressed and form == "png"), "output_compression needs jpeg or webp", param="output_compression")
    size = body.get("size", "auto")
    fits = size in SMALL_GPT_SIZES if re.match(r"gpt-image-1\b", model) else large_gpt_size().fits(size)
    require(fits or size == "auto", f"Invalid size {size}", param="size", code="invalid_value")


@contextmanager
def openai_simulator(*, port: int = 0, **settings: Any) -> Iterator[OpenAISimulator]:
    with running(OpenAISimulator(**settings), port) as simulator:
        yield simulator
