"""What the head of a request must be like. Pure.

llhttp has parsed it strictly before: no bare line feed, no folded line, no space before a colon, never a Content-Length
beside a Transfer-Encoding. Here stands what it lets pass and a proxy before us may read in another way: whatever two
readers could frame or route differently is refused, and its connection closed. Sources: RFC 9112, sections 3.2, 6 and
11.2; RFC 9110, sections 7.2, 7.8 and 9.3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.api.callers import HOST
from normalization.errors import InvalidValue, MethodNotAllowed, RequestTooLarge

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
VERSIONS = frozenset({"1.0", "1.1"})

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"host"})

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """A request's line and headers; the headers' names in lower case."""

    method: bytes
    target: bytes
    version: str
    headers: Headers


def check_size(head: Head, *, count_most: int, bytes_most: int) -> None:
    """Raises RequestTooLarge."""
    if len(head.headers) > count_most:
        raise RequestTooLarge(f"the request has {len(head.headers)} headers; at most {count_most} are accepted")
    size = len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers)
    if size > bytes_most:
        raise too_long(bytes_most)


def too_long(bytes_most: int) -> RequestTooLarge:
    return RequestTooLarge(f"the request's line and headers may have at most {bytes_most} bytes together")


def check(head: Head) -> tuple[bytes, bytes] | None:
    """Raises InvalidValue or MethodNotAllowed. Returns the authority of a target in absolute form, which stands in for
    the Host header then, and the rest of it; None otherwise."""
    if head.version not in VERSIONS:
        raise InvalidValue("the request is not HTTP/1.1 or HTTP/1.0")
    if head.method not in METHODS:
        raise MethodNotAllowed(f"{head.method.decode('ascii', 'replace')[:20]} is not served here")
    if b"#" in head.target:
        raise InvalidValue("the request's target holds a fragment (#)")
    found: dict[bytes, list[bytes]] = {name: [] for name in FRAMING}
    for name, value in head.headers:
        if name in found:
            found[name].append(value.strip())
        elif b"_" in name and name.replace(b"_", b"-") in found:
            raise InvalidValue(f"the header {name.decode('ascii', 'replace')} is an odd spelling of another")
    _check_framing(head.version, found[b"content-length"], found[b"transfer-encoding"])
    _check_host(head.version, found[b"host"])
    return None if head.target.startswith(b"/") else _split(head.target)


def _check_host(version: str, hosts: Sequence[bytes]) -> None:
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise InvalidValue(f"the request has {len(hosts)} Host headers; exactly one is accepted")
    if hosts and not HOST.fullmatch(hosts[0].decode("latin-1")):
        raise InvalidValue("the Host header is no host with an optional port")


def _check_framing(version: str, lengths: Sequence[bytes], codings: Sequence[bytes]) -> None:
    if codings and (version == "1.0" or lengths or len(codings) > 1):
        raise InvalidValue("the request's body is framed in more than one way")
    if codings and codings[0].lower() != b"chunked":
        raise InvalidValue("transfer-encoding: only chunked is accepted")
    if len(lengths) > 1:
        raise InvalidValue(f"the request has {len(lengths)} Content-Length headers; one is accepted")
    if lengths and (not lengths[0].isdigit() or (lengths[0].startswith(b"0") and lengths[0] != b"0")):
        raise InvalidValue("content-length: decimal digits are accepted, without zeros before them")


def _split(target: bytes) -> tuple[bytes, bytes]:
    text = target.decode("latin-1")
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        sound = False
    if not sound:
        raise InvalidValue("the request's target is neither a path nor an http(s) URL")
    rest = target[len(parts.scheme) + 3 + len(parts.netloc) :]
    return parts.netloc.encode("latin-1"), rest if rest.startswith(b"/") else b"/" + rest
