"""The kinds of value that a configuration is made of; each refuses in words what it does not accept."""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

MIB = 1024 * 1024
GLOB = frozenset("*?[")
DIGEST = "sha256:"

_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
HOST = re.compile(r"[A-Za-z0-9_.:%-]{1,255}")
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = frozenset({"connection", "content-length", "content-type", "host", "transfer-encoding", "accept-encoding"})


class Section(BaseModel):
    """A mapping of the file. Unknown keys are mistakes, `null` means not said, and no error repeats its input."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_said(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None or name not in cls.model_fields}


def refused(what: str, accepted: str) -> PydanticCustomError:
    """A value that a validator of ours does not accept. Neither text may hold the value where that can be a secret."""
    return PydanticCustomError("refused", "{what}; accepted: {accepted}", {"what": what, "accepted": accepted})


def is_glob(name: str) -> bool:
    return not GLOB.isdisjoint(name)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`. Names other than localhost are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _number(value: Any) -> Any:
    """Python counts true as 1; nobody who writes `port: true` does."""
    return "" if isinstance(value, bool) else value


def _switch(value: Any) -> Any:
    """A variable can only hold text, so the two words are read; 0, 1, y and n are more likely mistakes."""
    words = {"true": True, "false": False}
    return words.get(value.lower(), "") if isinstance(value, str) else value if isinstance(value, bool) else ""


def _plain(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise refused(
            "the text is empty, begins or ends with a space, or holds a control character",
            "at least one character, none of them a control character, no space at either end",
        )
    return text


def _exact(name: str) -> str:
    if is_glob(_plain(name)):
        raise refused("a name holds no *, ? or [", "an exact name; globs go under aliases")
    return name


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not (text.isascii() and text.isprintable()) or " " in text:
        raise refused(
            "the secret is empty, or holds a space, a line break or a character that no header can carry",
            "visible ASCII characters",
        )
    return secret


def _key(secret: SecretStr) -> SecretStr:
    text = _secret(secret).get_secret_value()
    if text.lower().startswith(DIGEST) and not _HEX64.fullmatch(text[len(DIGEST) :]):
        raise refused("not a SHA-256 digest", "sha256: and 64 hexadecimal digits, or the key itself")
    return secret


def _blank(value: Any) -> Any:
    """`${VAR:-}` says: unset unless VAR is set."""
    return None if value == "" else value


def _network(value: Any) -> IPv4Network | IPv6Network:
    accepted = "an address range such as 10.0.0.0/8 or fd00::/8, or a single address"
    if not isinstance(value, str):
        raise refused("not an address range", accepted)
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise refused("not an address range", accepted) from None
    raise refused("the address has bits beyond its prefix", f"{meant}, or {value.split('/')[0]} alone")


def _http(text: str, accepted: str) -> str:
    """The URL without its last slash. Never repeated in an error: people put passwords into URLs."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        raise refused("not an http(s) URL", accepted) from None
    if not sound or any(letter in text for letter in ' \\"<>'):
        raise refused("not an http(s) URL", accepted)
    if "@" in parts.netloc:
        raise refused("a URL with credentials in it", f"{accepted}; credentials go under api_key or headers")
    if "?" in text or "#" in text:
        raise refused("a URL with a query or a fragment", accepted)
    return text.rstrip("/")


def _base_url(text: str) -> str:
    return _http(text, "http:// or https://, a host, and optionally a port and a path")


def _host(text: str) -> str:
    if not HOST.fullmatch(text):
        raise refused("not a host", "an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host name")
    return text


def _origin(text: str) -> str:
    if text != "*" and not _ORIGIN.fullmatch(text):
        raise refused("not an origin", '"*", or scheme://host[:port] without a path, such as https://app.example')
    return text


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _FRAMING:
            raise refused(
                "a header that cannot be set", f"header names other than {', '.join(sorted(_FRAMING))}, without spaces"
            )
        if not value.isascii() or not value.isprintable():
            raise refused("a header's value holds a control or non-ASCII character", "printable ASCII")
    return headers


def _veiled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _veiled(held) for name, held in value.items()}
    return "set" if value else "unset"


_NUMERAL = BeforeValidator(_number)
_VEIL = PlainSerializer(_veiled)

Port = Annotated[int, Field(ge=0, le=65535), _NUMERAL]
Count = Annotated[int, Field(ge=1, le=1_000_000_000), _NUMERAL]
Whole = Annotated[int, Field(ge=0, le=1_000_000_000), _NUMERAL]
Bytes = Annotated[int, Field(ge=1, le=2**50), _NUMERAL]
Percent = Annotated[int, Field(ge=0, le=100), _NUMERAL]
Seconds = Annotated[float, Field(gt=0, le=315_360_000, allow_inf_nan=False), _NUMERAL]
UrlSeconds = Annotated[float, Field(gt=0, le=604_800, allow_inf_nan=False), _NUMERAL]
Factor = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False), _NUMERAL]
Positive = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False), _NUMERAL]
Amount = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False), _NUMERAL]
Switch = Annotated[bool, BeforeValidator(_switch)]
Text = Annotated[str, AfterValidator(_plain), Field(json_schema_extra={"minLength": 1})]
Name = Annotated[str, AfterValidator(_exact), Field(json_schema_extra={"minLength": 1})]
Secret = Annotated[SecretStr, AfterValidator(_secret), _VEIL]
KeySecret = Annotated[SecretStr, AfterValidator(_key), _VEIL]
MaybeSecret = Annotated[Secret | None, BeforeValidator(_blank), _VEIL]
MaybeKeySecret = Annotated[KeySecret | None, BeforeValidator(_blank), _VEIL]
Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(_network),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]}),
]
BaseUrl = Annotated[str, AfterValidator(_base_url), Field(json_schema_extra={"format": "uri"})]
Host = Annotated[str, AfterValidator(_host)]
Origin = Annotated[str, AfterValidator(_origin)]
Headers = Annotated[dict[str, str], AfterValidator(_headers), _VEIL]
