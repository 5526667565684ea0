"""Values that lie in Redis, sealed: whoever else can write there cannot write what we believe.

A sealed value is HMAC-SHA256 over the name that it lies under and its text, then the text, which is JSON. The key is
derived from the one that signs pictures' URLs, so that all replicas have it and Redis does not. The name is part of
what is sealed: a value copied to another name is worth nothing there.
"""

from __future__ import annotations

import hmac
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from normalization.errors import StateUnavailable

log = logging.getLogger("imagegate.redis")

T = TypeVar("T")

MAC_BYTES = 32
VALUE_MOST = 1024 * 1024
"""Bytes of one value."""
NAMED_MOST = 1000
"""Names whose spoilt values were reported, and are not again; the oldest are forgotten first."""


class Seal:
    """`key`: the bytes that pictures' URLs are signed with."""

    def __init__(self, key: bytes) -> None:
        own = hmac.digest(key, b"imagegate: values in Redis, version 1", "sha256")
        # A copy of what knows the key already, as `hmac.digest` gives up Python's lock for even the shortest text, and
        # threads that wait for it have it then.
        self._keyed = hmac.new(own, digestmod="sha256")
        self._reported: OrderedDict[str, None] = OrderedDict()

    def close(self, name: str, value: Any, *, most: int = VALUE_MOST) -> bytes:
        """`value`, as JSON, sealed for `name`. Raises StateUnavailable where it is larger than `most` bytes."""
        text = dumped(value)
        if len(text) > most:
            raise StateUnavailable(f"a record of {len(text)} bytes is larger than Redis is to keep ({most})")
        return self._mac(name, text) + text

    def open(self, name: str, data: object, read: Callable[[Any], T], *, most: int = VALUE_MOST) -> T | None:
        """What `read` makes of the value under `name`; None where there is none, or none to be believed.

        `read` checks the schema: where it raises ValueError, TypeError or LookupError the value is treated as absent,
        as one is whose seal is wrong. Such a name is reported once.
        """
        if data is None:
            return None
        if not isinstance(data, bytes) or not MAC_BYTES < len(data) <= MAC_BYTES + most:
            self._report(name, "its size or kind is wrong")
            return None
        mac, text = data[:MAC_BYTES], data[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(name, text)):
            self._report(name, "its seal is wrong")
            return None
        try:
            return read(orjson.loads(text))
        except (ValueError, TypeError, LookupError):
            self._report(name, "its fields are wrong")
            return None

    def _mac(self, name: str, text: bytes) -> bytes:
        mac = self._keyed.copy()
        mac.update(name.encode("utf-8", "replace") + b"\0")
        mac.update(text)
        return mac.digest()

    def _report(self, name: str, why: str) -> None:
        if name not in self._reported:
            log.warning("a value in Redis is not believed, and treated as absent: %s: %s", name, why)
            self._reported[name] = None
            if len(self._reported) > NAMED_MOST:
                self._reported.popitem(last=False)


def dumped(value: Any) -> bytes:
    """A value's text, as it stands behind its seal."""
    return orjson.dumps(value)
