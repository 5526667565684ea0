"""Reading what somebody else named: the text of a URL to a parsed one, a data URI to its bytes. Pure."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote_to_bytes

import pybase64
from yarl import URL

from providers.addresses import host_of

URL_CHARACTERS_MOST = 2048

Code = Literal[
    "scheme", "host", "blocked", "dns", "refused", "timeout", "status", "too_large", "redirects", "encoding", "slow"
]

_UNPRINTABLE = re.compile(r"[\s\x00-\x20\x7f-\x9f\\\ud800-\udfff]")
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]*)")
_PLAIN_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^@%\[\]:]+)(?::[0-9]*)?")

_DATA = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Unfetchable(Exception):
    """A URL gave no bytes. To whoever named it every `code` must look the same: together with the time taken, a
    difference tells what is behind the gateway. `code` and `detail` are for the log, and hold no URL; the host stands
    hashed. `status` is the answer's, where there was one; `refused` also stands for an answer that broke off."""

    def __init__(self, code: Code, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code: Code = code
        self.detail = detail
        self.status = status


def parse(text: str, base: URL | None = None) -> URL:
    """The http or https URL that `text` spells, relative to `base` where one is given. Raises Unfetchable (`scheme`,
    `host`) also for spellings that another parser may read differently: credentials, escapes or a zone id in the host,
    backslashes, control characters and white space anywhere, more than 2048 characters.

    ASCII is taken as it stands, for signed URLs do not survive a new encoding; whether the host is one to connect to
    remains to be seen (`addresses.host_of`).
    """
    if len(text) > URL_CHARACTERS_MOST or _UNPRINTABLE.search(text):
        raise Unfetchable("host", f"{len(text)} characters, of 2048 at most, without white space or backslashes")
    try:
        url = URL(text, encoded=text.isascii())
        url = url if base is None else base.join(url)
        host, _port = url.raw_host, url.port
    except (ValueError, IndexError) as error:  # IndexError: yarl's split of brackets before an @, with no host after it
        raise Unfetchable("host", "no URL at all") from error
    if url.scheme not in ("http", "https"):
        raise Unfetchable("scheme", "neither http nor https")
    authority = _AUTHORITY.match(text)
    if not host or (authority is not None and not _is_plain(authority[1], host)):
        raise Unfetchable("host", "not a plain host with at most a port")
    return url


def _is_plain(authority: str, host: str) -> bool:
    if not _PLAIN_AUTHORITY.fullmatch(authority):
        return False
    if authority.isascii():
        return True
    # IDNA maps full-width digits and dots to the ASCII ones: a name may be spelt so, an address may not.
    try:
        return isinstance(host_of(host), str)
    except ValueError:
        return False


def origin(url: URL | str) -> tuple[str, str, int | None]:
    """Scheme, host and port, the port spelt out; equal for two URLs of one origin."""
    parsed = URL(url, encoded=url.isascii()) if isinstance(url, str) else url
    return parsed.scheme, (parsed.raw_host or "").lower(), parsed.port


def data_uri(text: str, bytes_most: int) -> bytes:
    """The bytes of a data URI (RFC 2397), base64 or percent-encoded, of at most `bytes_most`. Raises Unfetchable:
    `scheme` for anything else, `too_large` before decoding, `encoding` for what does not decode to the last character.

    White space, the URL-safe alphabet and missing padding are repaired first: providers and clients send all three.
    """
    head = _DATA.match(text)
    if head is None:
        raise Unfetchable("scheme", "not a data URI")
    payload = text[head.end() :]
    if not payload.isascii():
        raise Unfetchable("encoding", "a data URI beyond ASCII")
    if head[2].lower().endswith(";base64"):
        return _base64(payload, bytes_most)
    return _percent(payload, bytes_most)


def _percent(payload: str, bytes_most: int) -> bytes:
    if len(payload) - 2 * payload.count("%") > bytes_most:
        raise Unfetchable("too_large", f"more than {bytes_most} bytes")
    if _BAD_ESCAPE.search(payload):
        raise Unfetchable("encoding", "an escape without two hexadecimal digits")
    return unquote_to_bytes(payload)


def _base64(payload: str, bytes_most: int) -> bytes:
    # Even with a line break after each pair of characters it would be no longer than this.
    if len(payload) > 4 * bytes_most + 64:
        raise Unfetchable("too_large", f"more than {bytes_most} bytes")
    if "%" in payload:
        payload = _percent(payload, len(payload)).decode("latin-1")
    digits = "".join(payload.split()).rstrip("=").replace("-", "+").replace("_", "/")
    if len(digits) * 3 // 4 > bytes_most:
        raise Unfetchable("too_large", f"more than {bytes_most} bytes")
    try:
        return pybase64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError as error:
        raise Unfetchable("encoding", "not base64") from error
