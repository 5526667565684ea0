"""UCloud ModelVerse: POST /v1/images/generations, GET /v1/models, and the file host of its results.

Source: the image API pages of ucloud-global.com. Codes of errors are not documented; `param` is the request's id.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.inputs import Given, from_data_uri, given
from tests.simulators.pages import (
    SMALL_GPT_SIZES,
    UNLISTED,
    Page,
    Takes,
    check,
    large_gpt_size,
    number,
    one_of,
    pixels,
    text,
    whole,
)
from tests.simulators.pictures import Kept

RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
KONTEXT = ("black-forest-labs/flux-kontext-max/text-to-image", "black-forest-labs/flux-kontext-pro/text-to-image")
EDIT_ONE = ("black-forest-labs/flux-kontext-max", "black-forest-labs/flux-kontext-pro", "stepfun-ai/step1x-edit")
EDIT_SEVERAL = ("black-forest-labs/flux-kontext-max/multi", "black-forest-labs/flux-kontext-pro/multi")
QWEN = "Qwen/Qwen-Image-Edit"

_ANY: Page = {"prompt": text(), "n": whole(1, 4)}
_FLUX: Page = {
    **_ANY,
    "seed": whole(-1, 2**32 - 1),
    "steps": whole(1, 50),
    "guidance_scale": number(1, 10),
    "negative_prompt": text(),
    "aspect_ratio": one_of(*RATIOS),
    "response_format": one_of("url", "b64_json"),
}
_GPT: Page = {
    **_ANY,
    "quality": one_of("low", "medium", "high"),
    "output_format": one_of("png", "jpeg"),
    # 0 is no compression here, and 100 the most.
    "output_compression": whole(0, 100),
}


def _between(least: int, most: int) -> Takes:
    def fits(size: Any) -> bool:
        width, height = pixels(str(size))
        return least <= min(width, height) <= max(width, height) <= most

    return Takes(fits, f"WxH, each side {least}-{most}")


def _data_uri(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data:image/")


_IMAGE: Page = {"strength": number(0, 1), "image": Takes(_data_uri, "a data: URI")}
_IMAGES: Page = {
    "images": Takes(lambda value: isinstance(value, list) and 2 <= len(value) <= 4, "two to four data: URIs")
}
_ONE: Page = {**{name: takes for name, takes in _FLUX.items() if name != "aspect_ratio"}, **_IMAGE}
_SEVERAL: Page = {**_FLUX, **_IMAGES}

PAGES: Mapping[str, Page] = {
    **dict.fromkeys(KONTEXT, _FLUX),
    **dict.fromkeys(EDIT_ONE, _ONE),
    **dict.fromkeys(EDIT_SEVERAL, _SEVERAL),
    QWEN: {
        "prompt": text(),
        "image": _IMAGE["image"],
        "seed": whole(-1, 2**32 - 1),
        "size": _between(256, 1536),
    },
    "black-forest-labs/flux.1-dev": {**_FLUX, "size": _between(256, 1536), **_IMAGE},
    "gpt-image-1": {**_GPT, "size": one_of(*SMALL_GPT_SIZES, "auto")},
    "gpt-image-1.5": {
        **_GPT,
        "size": one_of(*SMALL_GPT_SIZES, "auto"),
        "output_format": one_of("png", "jpeg", "webp"),
    },
    "gpt-image-2": {**_GPT, "n": whole(1, 10), "size": large_gpt_size()},
}
REQUIRED: Mapping[str, str] = {**dict.fromkeys((*EDIT_ONE, QWEN), "image"), **dict.fromkeys(EDIT_SEVERAL, "images")}
"""Besides the prompt."""
MODELS = (*PAGES, UNLISTED)
CODES = {
    400: "invalid_parameter",
    401: "invalid_api_key",
    402: "insufficient_balance",
    403: "forbidden",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "internal_error",
}


class ModelVerseSimulator(Simulator):
    name: ClassVar[str] = "modelverse"

    def __init__(self, *, key: str | None = None, mode: Literal["both", "url", "b64"] = "both") -> None:
        """`mode`: which fields an answer has; the page's example has both, whatever was asked for."""
        super().__init__(key=key)
        self.mode = mode

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/files/"):
            return "picture"
        return "submit" if (received.method, received.path) == ("POST", "/v1/images/generations") else None

    def authorised(self, received: Received) -> bool:
        return received.path == "/v1/models" or self.bearer(received)

    def other(self, received: Received) -> Answer:
        require(received.path == "/v1/models", "not found", status=404)
        owner = "UCloud_UModelverse"
        models = [{"id": name, "created": 1, "object": "model", "owned_by": owner} for name in MODELS]
        return answer_json({"object": "list", "data": models})

    def refusal(self, refused: Refused) -> Any:
        code = refused.code or CODES.get(refused.status, "internal_error")
        request_id = str(uuid.uuid4())
        return {"error": {"message": refused.message, "type": "api_error", "code": code, "param": request_id}}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        require(isinstance(body, dict), "body must be JSON")
        if fault.soft_fail:
            return answer_json(self.refusal(Refused(200, fault.message, code=fault.code)))
        made = self.make_ordered(self.ordered(body), fault)
        mode = "b64" if str(body["model"]).startswith("gpt-image") else self.mode
        data = [self._item(each, mode) for each in made]
        return answer_json({"created": 1750667997, "data": data, "usage": {"input_tokens_details": {}}, **fault.extra})

    def ordered(self, body: Any) -> Ordered:
        require(isinstance(body, dict), "body must be JSON")
        model, prompt = body.get("model"), body.get("prompt")
        require(model in MODELS, "model not found", status=404)
        require(isinstance(prompt, str) and bool(prompt), "prompt is required")
        if model != UNLISTED:
            check(body, {**PAGES[str(model)], "model": text()}, PAGES)
        required = REQUIRED.get(str(model), "prompt")
        require(bool(body.get(required)), f"{required} is required")
        sources = _sources(body)
        seed = body.get("seed", -1)
        return Ordered(
            size=_size(body, sources),
            form=body.get("output_format", "png"),
            count=body.get("n", 1),
            seed=None if seed == -1 else seed,
            subject=f"{prompt}|{body.get('negative_prompt')}|{body.get('steps')}|{body.get('guidance_scale')}",
            kept=Kept(sources[0].colour) if sources else None,
        )

    def _item(self, data: bytes, mode: str) -> dict[str, str]:
        both = {"url": self.publish(data), "b64_json": encoded(data, data_uri=True)}
        if mode == "both":
            return both
        kept = "url" if mode == "url" else "b64_json"
        return {kept: both[kept]}


def _sources(body: Mapping[str, Any]) -> list[Given]:
    """The pictures to edit. Raises Refused where one does not decode."""
    written = [("image", body["image"])] if "image" in body else [("images", each) for each in body.get("images", ())]
    return [given(from_data_uri(each, name), name) for name, each in written]


def _size(body: Mapping[str, Any], sources: list[Given]) -> tuple[int, int]:
    """The pixels made of values that the model's page allows; those who take no ratio keep the picture's."""
    if body.get("size", "auto") != "auto":
        return pixels(body["size"])
    width, height = map(int, body.get("aspect_ratio", "1:1").split(":"))
    if sources and "image" in body:
        width, height = sources[0].size
    scale = (1024 * 1024 / (width * height)) ** 0.5
    return int(width * scale / 8) * 8, int(height * scale / 8) * 8


@contextmanager
def modelverse_simulator(*, port: int = 0, **settings: Any) -> Iterator[ModelVerseSimulator]:
    with running(ModelVerseSimulator(**settings), port) as simulator:
        yield simulator
