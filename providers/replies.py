"""From a reply's bytes to values that an adapter can trust: JSON objects, texts that say something, pictures.

Providers differ in how they leave a field out (absent, null, an empty string) and in how they write base64; what they
mean is decided here, once. Nothing raises: what cannot be read is None.
"""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pybase64

from providers.base import Artifact

_URL_SAFE = str.maketrans("-_", "+/")

PICTURE_KEYS = ("b64_json", "image_data")
"""Where answers hold base64: OpenAI's images API, and the Open Responses of Modular MAX."""

LARGE = 64 * 1024
"""Bytes of a body from which on its pictures are worth looking for."""

LONG = 4 * 1024
"""Bytes of base64 from which on a picture is worth keeping from the JSON parser."""

_STRINGS_MOST = 512
"""An envelope of ten pictures has a third of these quotes; a body of more is no envelope, and orjson is faster."""

_PICTURE = re.compile(rb'"(?:%s)"[ \t\n\r]*:[ \t\n\r]*"' % "|".join(PICTURE_KEYS).encode())

_NONCE = secrets.token_hex(16)
"""What no provider knows, so that no string of its own is taken for a picture's place."""


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body holds; None for anything else, such as HTML or half an object.

    Of a large body, long base64 under one of `PICTURE_KEYS` stands there decoded, as bytes, where it is in standard
    form: padded, without prefix or white space.
    """
    rest, pictures = _without_pictures(body) if len(body) > LARGE else (body, {})
    try:
        value = orjson.loads(rest)
    except orjson.JSONDecodeError:
        return None
    if pictures:
        _put_back(value, pictures)
    return value if isinstance(value, dict) else None


def _without_pictures(body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The body with marks for long pictures, and what each mark stands for.

    A parser checks, copies and makes a str of what is then decoded from it, at seven times the cost of decoding alone.
    """
    # Only a string that opens here can match: a quote that closes one leaves a bare word behind it, and one inside a
    # string has a backslash before it. What decodes strictly holds neither quote nor escape nor anything that JSON
    # forbids, so what is left is valid exactly where the body is. All the rest is the parser's.
    view, pieces, pictures = memoryview(body), list[bytes | memoryview](), dict[str, bytes]()
    kept = quote = 0
    for _ in range(_STRINGS_MOST):
        quote = body.find(b'"', quote)
        if quote < 0:
            break
        found = None if body[quote - 1 : quote] == b"\\" else _PICTURE.match(body, quote)
        if found is None:
            quote += 1
            continue
        start, quote = found.end(), body.find(b'"', found.end())
        data = _decode_strictly(view[start:quote]) if quote - start > LONG else None
        if data is not None:
            mark = f"{_NONCE}{len(pictures)}"
            pictures[mark] = data
            pieces += [view[kept:start], mark.encode()]
            kept = quote
    return (b"".join([*pieces, view[kept:]]) if pictures else body), pictures


def _decode_strictly(written: str | memoryview) -> bytes | None:
    """The bytes of padded standard base64 and nothing beside it; None for every other spelling."""
    try:
        return pybase64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        return None


def _put_back(value: Any, pictures: Mapping[str, bytes]) -> None:
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, list):
            waiting += holder
        elif isinstance(holder, dict):
            for key in PICTURE_KEYS:
                mark = holder.get(key)
                if isinstance(mark, str) and mark in pictures:
                    holder[key] = pictures[mark]
            waiting += holder.values()


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
    data = _decode_strictly(written)
    if data is not None:
        return data
    # Rare: only then is it worth copying megabytes to write it in the standard way.
    plain = "".join(written.split()).translate(_URL_SAFE).rstrip("=")
    return _decode_strictly(plain + "=" * (-len(plain) % 4))


def artifact(encoded: Any, url: Any = None, *, seed: Any = None, revised_prompt: Any = None) -> Artifact | None:
    """One picture from its base64 and its address, of which either may be missing; the bytes at hand win.

    `encoded` may be bytes: what `read_object` has decoded already.

    An address may itself be a data: URI. None where neither says anything; an `Artifact` with neither where something
    was handed over that is no picture, so that its place is not mistaken for one that was never filled.
    """
    written: str | bytes | None = encoded if isinstance(encoded, bytes) else text(encoded)
    address = text(url)
    if address is not None and address[:5].lower() == "data:":
        written, address = written or address, None
    if written is None and address is None:
        return None
    data = decode_base64(written) if isinstance(written, str) else written
    prefixed = data is not None and isinstance(encoded, str) and encoded[:5].lower() == "data:"
    return Artifact(
        data=data or None,
        url=None if data else address,
        seed=whole(seed),
        revised_prompt=text(revised_prompt),
        repair="base64: a data: prefix was taken off" if prefixed else None,
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
