"""`state.url` where replicas share a Redis server: redis://USER:PASSWORD@HOST:PORT/DB, rediss:// with TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from gateway.config.fields import HOST, refused

SCHEMES = ("redis://", "rediss://")
ACCEPTED = (
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME:&timeout=SECONDS], or rediss:// with ssl_ca_certs=FILE too"
)
PREFIX = "imagegate:"
TIMEOUT = 0.25

_TIMEOUTS = (0.05, 10.0)
_PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A Redis server, and the prefix of all our keys in it."""

    host: str
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_certs: str | None = None
    """A file of certificates that the server's is signed with; None = those of the system."""
    prefix: str = PREFIX
    timeout: float = TIMEOUT
    """Seconds that any command may take; after that the server counts as lost."""


def redis_url(url: str) -> RedisUrl | None:
    """The server that a URL names; None where it names no Redis. Raises what a validator raises where it is spoilt,
    without a word of the URL itself."""
    if not url.startswith(SCHEMES):
        return None
    try:
        parts = urlsplit(url)
        port = 6379 if parts.port is None else parts.port
    except ValueError:
        raise refused("not a Redis URL", ACCEPTED) from None
    if not parts.hostname or not HOST.fullmatch(parts.hostname) or not port or parts.fragment:
        raise refused("not a Redis URL", ACCEPTED)
    db = parts.path.removeprefix("/") or "0"
    if not re.fullmatch(r"[0-9]{1,5}", db):
        raise refused("its path is not the number of a database", ACCEPTED)
    options = _options(parts)
    return RedisUrl(
        host=parts.hostname,
        port=port,
        db=int(db),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
        ca_certs=options.get("ssl_ca_certs"),
        prefix=options.get("prefix", PREFIX),
        timeout=_timeout(options.get("timeout")),
    )


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = {"prefix", "timeout"} | ({"ssl_ca_certs"} if parts.scheme == "rediss" else set())
    if not options.keys() <= known:
        raise refused("an option that is not known here", ACCEPTED)
    if "prefix" in options and not _PREFIX.fullmatch(options["prefix"]):
        raise refused("its prefix cannot begin keys", "1 to 64 letters, digits and . _ : -, such as prefix=imagegate:")
    return options


def _timeout(text: str | None) -> float:
    if text is None:
        return TIMEOUT
    least, most = _TIMEOUTS
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text) or not least <= float(text) <= most:
        raise refused("its timeout is none", f"{least:g} to {most:g} seconds, such as timeout={TIMEOUT:g}")
    return float(text)
