"""A request with pictures, as any client writes it: multipart or JSON, files, URLs, data: URIs or base64."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from gateway.api.bodies import check_depth
from gateway.api.brackets import nested
from gateway.api.multipart import File, in_order, read_form
from gateway.api.picture_json import PictureJson, read_picture_json
from gateway.container import Services
from gateway.services.intake import Given
from normalization.errors import InvalidType, InvalidValue, MissingParameter

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"

_TEXT = re.compile(rb"[\t\r\n -~]*")
_NOT_TEXT = (b"RIFF", b"GIF8")
"""Pictures that may begin like text."""

_HEAD = 32


@dataclass(frozen=True, slots=True)
class Upload:
    """`body` is what is left without the pictures. `param` is the name that pictures go by in this kind of body."""

    body: Mapping[str, Any]
    pictures: tuple[Given, ...]
    mask: Given | None
    param: str


async def read_upload(request: Request, services: Services) -> Upload:
    """The request's parameters and pictures, none of them looked at yet. Raises CallerError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        form = await read_form(request, services.spool, services.settings.limits)
        pictures = tuple(_given(file) for file in in_order(form.pictures))
        mask = _given(form.masks[0]) if form.masks else None
        return Upload(_with_objects(nested(form.fields)), pictures, mask, "image")
    if kind == URLENCODED:
        raise InvalidValue(f"content-type: {URLENCODED} cannot carry pictures; send {MULTIPART} or application/json")
    limits = services.settings.limits
    read = await read_picture_json(
        request, services.spool, bytes_most=limits.json_body_bytes, seconds_most=limits.body_seconds
    )
    return _from_json(read)


def _with_objects(body: dict[str, Any]) -> dict[str, Any]:
    """A form has no objects but by brackets; whose client writes none may write JSON."""
    options = body.get("provider_options")
    if isinstance(options, str):
        try:
            body["provider_options"] = orjson.loads(options)
        except orjson.JSONDecodeError:
            raise InvalidValue(
                "provider_options: an object is expected, as JSON or with brackets: provider_options[image][steps]",
                param="provider_options",
            ) from None
        if isinstance(body["provider_options"], dict | list):
            check_depth(body["provider_options"], "provider_options")
    return body


def _given(file: File) -> Given:
    """A part with a filename is the picture; one without may be a text that names it."""
    head = next(file.content.slices(_HEAD), b"")
    if file.named or not head or not _TEXT.fullmatch(head) or head.startswith(_NOT_TEXT):
        return Given(file.name, file.content)
    return Given(file.name, text=file.content.read().decode("utf-8", "replace"))


def _from_json(read: PictureJson) -> Upload:
    body = {name: value for name, value in read.value.items() if value is not None}
    image, images, mask = body.pop("image", None), body.pop("images", None), body.pop("mask", None)
    if image is not None and images is not None:
        raise InvalidValue("image and images: only one of them can be given", param="images")
    given = _listed("images", images, read) if image is None else _listed("image", image, read)
    found = None if mask is None else reference("mask", mask, read)
    return Upload(read.restored(body), tuple(given), found, "images" if image is None else "image")


def _listed(name: str, value: Any, read: PictureJson) -> Sequence[Given]:
    if value is None:
        return ()
    if isinstance(value, list):
        return [reference(f"{name}[{index}]", part, read) for index, part in enumerate(value)]
    return [reference(name, value, read)]


def reference(param: str, value: Any, read: PictureJson) -> Given:
    """A picture as JSON names it: a text, or an object with `image_url`. Raises InvalidType, InvalidValue or
    MissingParameter."""
    if isinstance(value, Mapping):
        url, file_id = value.get("image_url"), value.get("file_id")
        if url is not None and file_id is not None:
            raise InvalidValue(f"{param}: image_url and file_id cannot both be given", param=param)
        if file_id is not None:
            raise InvalidValue(
                f"{param}.file_id: {str(file_id)[:100]!r} is unknown, as this gateway keeps no files; give image_url",
                param=f"{param}.file_id",
            )
        if url is None:
            raise MissingParameter(f"{param}.image_url is missing: a URL, a data: URI or base64", param=param)
        if isinstance(url, Mapping):
            url = url.get("url")
        param, value = f"{param}.image_url", url
    if not isinstance(value, str):
        raise InvalidType(f"{param}: a URL, a data: URI or base64 as a string is expected", param=param)
    content = read.content(value)
    return Given(param, content) if content is not None else Given(param, text=value)
