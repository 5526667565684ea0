"""From a reply's bytes to values that an adapter can trust: JSON objects, texts that say something, pictures.

Providers differ in how they leave a field out (absent, null, an empty string) and in how they write base64; what they
mean is decided here, once. Nothing raises: what cannot be read is None.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pybase64

from providers.base import Artifact

_URL_SAFE = str.maketrans("-_", "+/")


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body holds; None for anything else, such as HTML or half an object."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one: a path can be followed without asking at each step."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The value where it is an array, else an empty one."""
    return value if isinstance(value, list) else ()


def text(value: Any) -> str | None:
    """A string that says something: null, other types and blank strings are not values."""
    return value if isinstance(value, str) and value.strip() else None


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def decode_base64(written: str) -> bytes | None:
    """The bytes of standard or URL-safe base64, with or without padding, white space and a data: prefix.

    Strict after that: None for any other character, for a length that no bytes have, and for a data: URI that is not
    base64. Forms: RFC 4648 sections 4 and 5, RFC 2397.
    """
    if written[:5].lower() == "data:":
        head, comma, written = written.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            return None
    try:
        return pybase64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        pass  # rare: only then is it worth copying megabytes to write it in the standard way
    plain = "".join(written.split()).translate(_URL_SAFE).rstrip("=")
    try:
        return pybase64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def artifact(encoded: Any, url: Any = None, *, seed: Any = None, revised_prompt: Any = None) -> Artifact | None:
    """One picture from its base64 and its address, of which either may be missing; the bytes at hand win.

    An address may itself be a data: URI. None where neither says anything; an `Artifact` with neither where something
    was handed over that is no picture, so that its place is not mistaken for one that was never filled.
    """
    written, address = text(encoded), text(url)
    if address is not None and address[:5].lower() == "data:":
        written, address = written or address, None
    if written is None and address is None:
        return None
    data = None if written is None else decode_base64(written)
    return Artifact(
        data=data or None,
        url=None if data else address,
        seed=whole(seed),
        revised_prompt=text(revised_prompt),
    )


def images_of(body: Mapping[str, Any]) -> Iterator[Artifact]:
    """The pictures of an answer in the shape of OpenAI's images API: `data` with `b64_json`, `url` or both."""
    for each in sequence(body.get("data")):
        item = mapping(each)
        found = artifact(
            item.get("b64_json"), item.get("url"), seed=item.get("seed"), revised_prompt=item.get("revised_prompt")
        )
        if found is not None:
            yield found


def usage_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Token counts, where the answer has any."""
    return mapping(body.get("usage")) or None
