"""GET /, GET /dashboard and GET /web/{file}: the pages and their files, as they lie in the package."""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from normalization.errors import NotFound

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a page may load and run: our own files, and pictures that it holds already. Nothing inline, nobody's frame."""

HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

MEDIA_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By suffix; what is none of these is not served."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it travels: plain and compressed."""

    body: bytes
    gzipped: bytes
    media_type: str
    tag: str
    """Its entity tag; the compressed form has another."""


@functools.cache
def assets() -> Mapping[str, Asset]:
    """Every file of the pages by its name; read and compressed once."""
    found = {}
    for path in files("gateway.web").joinpath("static").iterdir():
        media_type = MEDIA_TYPES.get(f".{path.name.rpartition('.')[2]}")
        if media_type is not None:
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:20]
            found[path.name] = Asset(body, gzip.compress(body, 9, mtime=0), media_type, tag)
    return found


async def playground(request: Request) -> Response:
    """The page that makes pictures."""
    return _page(request, "playground.html")


async def dashboard(request: Request) -> Response:
    """The operator's page; what it shows it asks for with the admin's key."""
    return _page(request, "dashboard.html")


async def web_file(request: Request) -> Response:
    """A script, a style or a drawing. Browsers keep it and ask whether it is still the same, so that a new version of
    the gateway is a new version of all its files. Raises NotFound."""
    name = request.path_params["file"]
    asset = assets().get(name)
    if asset is None or name.endswith(".html"):
        raise NotFound(f"there is no file {name[:100]!r} of the pages")
    return _answer(request, asset, {**HEADERS, "cache-control": "no-cache"})


def _page(request: Request, name: str) -> Response:
    asset = assets().get(name)
    if asset is None:
        raise NotFound(f"there is no page {name[:100]!r}")
    return _answer(request, asset, {**HEADERS, "cache-control": "no-store"})


def _answer(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers["vary"] = "accept-encoding"
    compressed = accepts_gzip(request.headers.get("accept-encoding", ""))
    headers["etag"] = f'"{asset.tag}-gz"' if compressed else f'"{asset.tag}"'
    if headers["etag"] in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if compressed:
        headers["content-encoding"] = "gzip"
    # By hand, since Starlette's Response would add a charset to the media type and sends no body's length for HEAD.
    headers["content-type"] = asset.media_type
    body = asset.gzipped if compressed else asset.body
    headers["content-length"] = str(len(body))
    return Response(b"" if request.method == "HEAD" else body, headers=headers)


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding takes gzip (RFC 9110, section 12.5.3): named, or by `*`, and not with weight 0."""
    weights = {}
    for each in header.lower().split(","):
        coding, _, parameter = each.partition(";")
        weight = parameter.strip().removeprefix("q=").strip()
        try:
            weights[coding.strip()] = float(weight) if weight else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
