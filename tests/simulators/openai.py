"""An OpenAI-compatible server, and OpenAI's own strictness for the names of its models.

Source: https://platform.openai.com/docs/api-reference/images/create. A model called gpt-image-* or chatgpt-image-*
refuses parameters that OpenAI does not know and sizes that it does not make; any other is as tolerant as local servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.pages import SMALL_GPT_SIZES, large_gpt_size, pixels

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
        return "submit" if (received.method, received.path) == ("POST", "/v1/images/generations") else None

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
        body = received.json
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
        )

    def _item(self, data: bytes, mode: Mode, fault: Fault) -> dict[str, Any]:
        written = encoded(data, data_uri=fault.data_uri)
        if mode == "b64":
            return {"b64_json": written, "url": ""}
        address = written if fault.data_uri else self.publish(data)
        if mode == "relative":
            return {"b64_json": None, "url": address.removeprefix(self.origin)}
        return {"url": address} if mode == "url" else {"url": address, "b64_json": written}


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether the model is one of OpenAI's own."""
    return re.match(r"gpt-image-|chatgpt-image-", str(body.get("model"))) is not None


def _size(body: Mapping[str, Any]) -> tuple[int, int]:
    size = body.get("size") or "1024x1024"
    return pixels("1024x1024" if size == "auto" else str(size))


def _check_strictly(model: str, body: Mapping[str, Any]) -> None:
    for name in body:
        require(name in KNOWN, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
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
