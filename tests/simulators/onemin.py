"""1min.ai: POST /api/features, POST /api/assets before an edit, and the signed addresses of results.

Source: docs.1min.ai, "AI for Image", one page per model: the same thing has another name and other bounds on each.
Errors are not documented: the envelope is the one that public clients read.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.inputs import Given, file_of, form_of, given
from tests.simulators.pages import (
    SMALL_GPT_SIZES,
    UNLISTED,
    Page,
    boolean,
    check,
    large_gpt_size,
    number,
    one_of,
    pixels,
    sides,
    text,
    whole,
)
from tests.simulators.pictures import Kept

RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1360, 768),
    "9:16": (768, 1360),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:5": (912, 1152),
    "5:4": (1152, 912),
}
FLUX_2 = ("black-forest-labs/flux-2-max", "black-forest-labs/flux-2-pro", "black-forest-labs/flux-2-flex")
FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
SIGNATURE = "X-Amz-Signature"

_ANY: Page = {"prompt": text(), "seed": whole(0, 2**32 - 1)}
_RATIO: Page = {"aspect_ratio": one_of(*RATIOS)}
_CUSTOM: Page = {"aspect_ratio": one_of(*RATIOS, "custom")}
_QUALITY: Page = {"output_quality": whole(0, 100)}
_UPSAMPLING: Page = {"prompt_upsampling": boolean()}
_OPEN_WEIGHTS: Page = {"go_fast": boolean(), "disable_safety_checker": boolean(), **_QUALITY}
_GPT: Page = {
    "prompt": text(),
    "n": whole(1, 10),
    "quality": one_of("low", "medium", "high"),
    "background": one_of("opaque", "transparent", "auto"),
    "output_format": one_of("png", "jpeg", "webp"),
    "output_compression": whole(0, 100),
}


def _flux_2(least_steps: int) -> Page:
    return {
        **_ANY,
        **_RATIO,
        **_QUALITY,
        **_UPSAMPLING,
        "output_format": one_of("jpg", "png"),
        "steps": whole(least_steps, 50),
        "guidance": number(2, 5),
        "safety_tolerance": whole(1, 6),
    }


_KONTEXT: Page = {**_ANY, **_RATIO, "format": one_of("png", "jpeg", "webp")}
_KONTEXT_HOSTED: Page = {**_KONTEXT, **_UPSAMPLING, "safety_tolerance": whole(1, 6)}

PAGES: Mapping[str, Page] = {
    FLUX_2[0]: _flux_2(15),
    FLUX_2[1]: _flux_2(15),
    FLUX_2[2]: _flux_2(6),
    "black-forest-labs/flux-2-dev": {
        **_ANY,
        **_RATIO,
        **_OPEN_WEIGHTS,
        "output_format": one_of("webp", "jpg", "png"),
        "num_inference_steps": whole(1, 50),
        "guidance": number(0, 10),
        "prompt_strength": number(0, 1),
        "megapixels": one_of("0.25", "1"),
    },
    # The pages of these are about editing; what they take without a picture is taken to be the same.
    "black-forest-labs/flux-kontext-max": _KONTEXT_HOSTED,
    "black-forest-labs/flux-kontext-pro": _KONTEXT_HOSTED,
    "black-forest-labs/flux-kontext-dev": {
        **_KONTEXT,
        **_OPEN_WEIGHTS,
        "num_inference_steps": whole(1, 50),
        "guidance": number(1, 20),
    },
    "black-forest-labs/flux-1.1-pro": {
        **_ANY,
        **_CUSTOM,
        **_QUALITY,
        **_UPSAMPLING,
        **sides(256, 2048),
        "safety_tolerance": whole(0, 5),
        "image_prompt": text(),
    },
    "black-forest-labs/flux-pro": {
        **_ANY,
        **_CUSTOM,
        **_QUALITY,
        **_UPSAMPLING,
        **sides(256, 1440, multiple=32),
        "steps": whole(1, 50),
        "guidance": number(0, 50),
        "interval": number(1, 4),
        "output_format": one_of("webp", "jpg", "png"),
        "safety_tolerance": whole(1, 5),
        "image_prompt": text(),
    },
    # Both pages list "custom" too, and no width or height to go with it.
    "black-forest-labs/flux-dev": {
        **_ANY,
        **_RATIO,
        **_OPEN_WEIGHTS,
        "num_inference_steps": whole(1, 50),
        "guidance": number(0, 50),
        "prompt_strength": number(0, 1),
        "megapixels": one_of("0.25", "1", "2"),
        "image_prompt": text(),
    },
    "black-forest-labs/flux-schnell": {
        **_ANY,
        **_RATIO,
        **_OPEN_WEIGHTS,
        "num_inference_steps": whole(1, 4),
        "megapixels": one_of("0.25", "1"),
    },
    "gpt-image-1": {**_GPT, "size": one_of(*SMALL_GPT_SIZES), "style": text(64)},
    "gpt-image-1-mini": {**_GPT, "size": one_of(*SMALL_GPT_SIZES)},
    "gpt-image-2": {**_GPT, "prompt": text(4000), "size": large_gpt_size()},
}
EDITED = (
    *FLUX_2,
    "black-forest-labs/flux-2-dev",
    "black-forest-labs/flux-kontext-max",
    "black-forest-labs/flux-kontext-pro",
    "black-forest-labs/flux-kontext-dev",
    "gpt-image-1",
    "gpt-image-1-mini",
    "gpt-image-2",
)
_TO_EDIT: Page = {"imageUrl": text(1024), "aspect_ratio": one_of(*RATIOS, "match_input_image")}
EDITORS: Mapping[str, Page] = {
    model: {
        name: takes
        for name, takes in ({**PAGES[model], **_TO_EDIT}).items()
        if name != "style" and (name != "aspect_ratio" or name in PAGES[model])
    }
    for model in EDITED
}
REQUIRED: Mapping[str, tuple[str, ...]] = {"gpt-image-2": ("size", "quality")}
"""Besides the prompt."""
REQUIRED_TO_EDIT: Mapping[str, tuple[str, ...]] = {
    **REQUIRED,
    "gpt-image-1": ("size", "n"),
    "gpt-image-1-mini": ("size", "n"),
}
"""Besides the prompt and the picture."""
KEPT_FORMATS = (*FLUX_2, "black-forest-labs/flux-kontext-max", "black-forest-labs/flux-kontext-pro")
UNASKED: Mapping[str, str] = {**dict.fromkeys(PAGES, "webp"), **dict.fromkeys(KEPT_FORMATS, "png"), UNLISTED: "jpeg"}
"""What comes where no format is said; a gpt-image makes png."""


class OneMinSimulator(Simulator):
    name: ClassVar[str] = "onemin"

    def __init__(self, *, key: str | None = None, address_lives: float = 900.0) -> None:
        """`address_lives`: seconds until a result's address is refused."""
        super().__init__(key=key)
        self.address_lives = address_lives
        self._expires: dict[str, float] = {}
        self.assets: dict[str, Given] = {}
        """What was uploaded, by its key."""

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/development/images/"):
            return "picture"
        if (received.method, received.path) == ("POST", "/api/assets"):
            return "upload"
        return "submit" if (received.method, received.path) == ("POST", "/api/features") else None

    def authorised(self, received: Received) -> bool:
        return self.matches(received.headers.get("api-key", ""))

    def refusal(self, refused: Refused) -> Any:
        if refused.status == 402:
            return {"message": "Insufficient credits"}
        return {"message": refused.message}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        ordered = self.ordered(body)
        addresses: list[str] = []
        if not fault.soft_fail:
            made = self.make_ordered(ordered, fault)
            addresses = [encoded(data, data_uri=True) if fault.data_uri else self._signed(data) for data in made]
        detail = {
            "promptObject": body["promptObject"],
            "resultObject": [address.split("?")[0].removeprefix(f"{self.origin}/") for address in addresses],
        }
        record = {
            "uuid": str(uuid.uuid4()),
            "model": body["model"],
            "type": body["type"],
            "status": "FAILED" if fault.soft_fail else "SUCCESS",
            "createdAt": "2026-03-27T10:00:00.000Z",
            "aiRecordDetail": detail,
            # One address, however many results there are.
            "temporaryUrl": addresses[0] if addresses else None,
            **({"message": fault.message} if fault.soft_fail else {}),
            **fault.extra,
        }
        return answer_json({"aiRecord": record})

    def ordered(self, body: Any) -> Ordered:
        require(isinstance(body, dict), "Invalid JSON")
        feature = body.get("type")
        require(feature in ("IMAGE_GENERATOR", "IMAGE_EDITOR"), "type must be IMAGE_GENERATOR or IMAGE_EDITOR")
        pages, required = (PAGES, REQUIRED) if feature == "IMAGE_GENERATOR" else (EDITORS, REQUIRED_TO_EDIT)
        model, params = str(body.get("model")), body.get("promptObject")
        require(model in pages or model == UNLISTED, f"Model {model} not found for {feature}", status=404)
        require(isinstance(params, dict), "promptObject is required")
        assert isinstance(params, dict)
        for name in ("prompt", *required.get(model, ())):
            require(bool(params.get(name)), f"{name} is required")
        if model != UNLISTED:
            check(params, pages[model], {**PAGES, "an editor": _TO_EDIT})
        source = None if feature == "IMAGE_GENERATOR" else self._asset(params.get("imageUrl"))
        unasked = "png" if model.startswith("gpt-image") else UNASKED[model]
        steps = params.get("steps", params.get("num_inference_steps"))
        quality = params.get("output_quality", params.get("output_compression"))
        return Ordered(
            size=_size(params, source),
            form=FORMATS[str(params.get("format", params.get("output_format", unasked)))],
            count=params.get("n", 1),
            quality=quality,
            seed=params.get("seed"),
            subject=f"{params['prompt']}|{steps}|{params.get('guidance')}",
            kept=None if source is None else Kept(source.colour),
        )

    def other(self, received: Received) -> Answer:
        """An upload: the bytes are kept under a new key, as private as the real bucket's."""
        require((received.method, received.path) == ("POST", "/api/assets"), "not found", status=404)
        parts = form_of(received)
        require(list(parts) == ["asset"] and len(parts["asset"]) == 1, "asset is required")
        data = file_of(parts["asset"][0], "asset")
        key = f"images/{uuid.uuid4()}_image"
        self.assets[key] = given(data)
        asset = {"fieldname": "asset", "size": len(data), "bucket": "asset.1min.ai", "key": key, "acl": "private"}
        return answer_json({"asset": asset, "fileContent": {"uuid": str(uuid.uuid4()), "path": key}})

    def _asset(self, key: Any) -> Given:
        require(isinstance(key, str) and bool(key), "imageUrl is required")
        require(key in self.assets, "imageUrl is no asset of yours")
        return self.assets[key]

    def _signed(self, data: bytes) -> str:
        address = self.publish(data, "/development/images/")
        self._expires[address.removeprefix(self.origin)] = time.monotonic() + self.address_lives
        return f"{address}?X-Amz-Expires=900&{SIGNATURE}=0a1b2c%2F3d"

    def _file(self, received: Received) -> Answer:
        signed = received.query.get(SIGNATURE) == "0a1b2c/3d"
        fresh = self._expires.get(received.path, 0) > time.monotonic()
        # Two ways of authenticating at once are refused, as object stores do.
        clean = not any(name in received.headers for name in ("authorization", "api-key"))
        if not (signed and fresh and clean):
            super()._file(received)
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"content-type": "application/xml"})
        return super()._file(received)


def _size(params: Mapping[str, Any], source: Given | None) -> tuple[int, int]:
    """The pixels made of values that the model's page allows."""
    if "size" in params:
        return pixels(params["size"])
    ratio = params.get("aspect_ratio", "1:1" if source is None else "match_input_image")
    if ratio == "match_input_image":
        assert source is not None
        megapixels = float(params.get("megapixels", "1")) * 1024 * 1024
        scale = (megapixels / (source.size[0] * source.size[1])) ** 0.5
        return _rounded(source.size[0] * scale, 16), _rounded(source.size[1] * scale, 16)
    if ratio == "custom":
        width, height = params.get("width", 1024), params.get("height", 1024)
        require(width * height <= 2 * 1024 * 1024, "at most 2 megapixels in all")
        return _rounded(width, 32), _rounded(height, 32)
    require(ratio in RATIOS, f"aspect_ratio must be one of {', '.join(RATIOS)}")
    scale = float(params.get("megapixels", "1")) ** 0.5
    width, height = RATIOS[ratio]
    return _rounded(width * scale, 16), _rounded(height * scale, 16)


def _rounded(side: float, multiple: int) -> int:
    return int(side / multiple + 0.5) * multiple


@contextmanager
def onemin_simulator(*, port: int = 0, **settings: Any) -> Iterator[OneMinSimulator]:
    with running(OneMinSimulator(**settings), port) as simulator:
        yield simulator
