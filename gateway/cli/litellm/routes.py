"""One entry of `model_list` as a provider's entry and a route to it, with a note wherever something is lost.

The names of LiteLLM's parameters: https://docs.litellm.ai/docs/proxy/config_settings and
https://docs.litellm.ai/docs/proxy/custom_pricing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from gateway.cli.litellm.providers import (
    ADAPTED_HOSTS,
    AZURE,
    AZURE_HOSTS,
    OPENAI,
    SPEAKING,
    Speaks,
    why_not,
)
from gateway.cli.litellm.reading import Deployment
from gateway.cli.litellm.variables import Variables
from gateway.config.entries import DEFAULTABLE
from gateway.config.fields import Headers
from gateway.config.mistakes import Path, one_of
from gateway.config.variables import has_variables
from normalization.errors import CallerError
from normalization.values import read_value
from providers.openai import NEVER_DROPPED, OUR_NAMES

ENDPOINT = "/images/generations"
NO_KEYS = frozenset({"", "none", "null", "empty", "dummy", "fake", "no-key", "not-needed", "anything"})
"""What people write where a server wants no key."""

_PRICES = ("output_cost_per_image", "input_cost_per_image", "output_cost_per_pixel", "input_cost_per_pixel")
_ACCESS = ("api_base", "base_url", "api_key", "headers", "extra_headers", "organization")
_ROUTING = ("rpm", "weight", "order", "timeout", "max_parallel_requests", "additional_drop_params", "drop_params")
_READ = frozenset({*_PRICES, *_ACCESS, *_ROUTING})
_PLAIN_INFO = frozenset({"id", "mode", "base_model", "description"})
_PIXELS = 1024 * 1024
_HEADERS: TypeAdapter[dict[str, str]] = TypeAdapter(Headers)
_COUNTED = "imagegate counts pictures, megapixels and requests, not tokens or seconds"


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader must know about one place of the file. No text holds a secret or an address."""

    kind: Literal["untranslated", "differs"]
    path: Path
    text: str


@dataclass(slots=True)
class Notes:
    """All of them, in the order in which they were found."""

    found: list[Note] = field(default_factory=list)

    def differs(self, path: Path, text: str) -> None:
        self.found.append(Note("differs", path, text))

    def untranslated(self, path: Path, text: str) -> None:
        self.found.append(Note("untranslated", path, text))


@dataclass(frozen=True, slots=True)
class Translated:
    """A deployment's provider and its route, `provider` not yet named. `wish` is a name for it."""

    deployment: Deployment
    wish: str
    entry: Mapping[str, Any]
    route: Mapping[str, Any]


class Refused(Exception):
    """A deployment that cannot be translated; the text says why."""


def translate(deployment: Deployment, variables: Variables, notes: Notes) -> Translated | None:
    """None where it cannot be, which is noted."""
    try:
        return _translate(deployment, variables, notes)
    except Refused as refused:
        notes.untranslated(deployment.path, str(refused))
        return None


def _translate(deployment: Deployment, variables: Variables, notes: Notes) -> Translated:
    speaks = SPEAKING.get(deployment.provider)
    if speaks is None:
        raise Refused(why_not(deployment.provider))
    if "*" in deployment.name or "*" in deployment.model:
        raise Refused("a wildcard stands for models that imagegate must know by name: write one entry for each")
    params, path = deployment.params, (*deployment.path, "litellm_params")
    address, wish = _address(deployment, speaks)
    adapted = ADAPTED_HOSTS.get(urlsplit(address).hostname or "")
    variables.reference(address, "address")
    entry: dict[str, Any] = {"type": adapted} if adapted else {"type": "openai", "base_url": address}
    entry |= _credentials(deployment, speaks, adapted or wish, variables, notes)
    entry |= _limits(deployment, variables, notes)
    if not adapted:
        entry |= _shape(deployment, speaks, notes)
    route: dict[str, Any] = {"model": deployment.model}
    route |= _price(deployment, notes)
    defaults = _defaults(deployment, notes)
    if defaults:
        route["defaults"] = defaults
    if "timeout" in params:
        timeout = number(params["timeout"], variables)
        if timeout is None:
            notes.differs((*path, "timeout"), "not a number of seconds: left out")
        else:
            route["timeout_seconds"] = timeout
    if speaks.remark and not adapted:
        notes.differs(deployment.path, speaks.remark)
    _say_unread(deployment, notes)
    return Translated(deployment, adapted or wish, entry, route)


def number(value: Any, variables: Variables) -> float | int | str | None:
    """A positive number, or a reference to a variable that holds one; else None."""
    if isinstance(value, str) and has_variables(value):
        return str(variables.reference(value, "number"))
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        value = float(value) if "." in value else int(value)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
    return value if good else None


def _address(deployment: Deployment, speaks: Speaks) -> tuple[str, str]:
    """The base URL, and a name for the provider behind it. Raises Refused."""
    given = deployment.params.get("api_base") or deployment.params.get("base_url")
    if given is None:
        own = f"{speaks.address}{speaks.version}" if deployment.provider == AZURE else speaks.address
        return own, deployment.provider
    if not isinstance(given, str):
        raise Refused("api_base is not text")
    address = given.rstrip("/").removesuffix(ENDPOINT)
    parts = None if has_variables(address) else _parts(address)
    if parts is not None and deployment.provider == AZURE and not (parts.hostname or "").endswith(AZURE_HOSTS):
        raise Refused("api_base is no resource of Azure, and its addresses cannot be told from here")
    if speaks.version and (parts is None or not parts.path):
        address += speaks.version
    elif deployment.provider == AZURE and parts is not None and not parts.path.startswith(speaks.version):
        raise Refused("api_base names one deployment or version; give the resource's address alone")
    if deployment.provider != OPENAI or address == speaks.address:
        return address, deployment.provider
    return address, "openai-compatible" if parts is None else _called(parts.hostname or "")


def _parts(address: str) -> Any:
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise Refused("api_base is no http(s) address")
    if "@" in parts.netloc:
        raise Refused("api_base holds credentials; put them under api_key or headers")
    if parts.query or parts.fragment:
        raise Refused("api_base holds a query, which base_url cannot")
    return parts


def _called(host: str) -> str:
    """`lumenfall` for api.lumenfall.ai, `local` for this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        return "local" if host == "localhost" else labels[-2] if len(labels) > 1 else host
    return "local" if address.is_loopback or address.is_unspecified else f"openai-{host.replace(':', '-')}"


def _credentials(
    deployment: Deployment, speaks: Speaks, called: str, variables: Variables, notes: Notes
) -> dict[str, Any]:
    params, path = deployment.params, (*deployment.path, "litellm_params")
    found: dict[str, Any] = {}
    key = params.get("api_key")
    own = not params.get("api_base") or deployment.provider != OPENAI
    if isinstance(key, str) and key.lower() not in NO_KEYS:
        found["api_key"] = variables.secret(key, f"{called}_API_KEY")
    elif key is None and speaks.key and own:
        found["api_key"] = variables.reference(f"${{{speaks.key}}}", "secret")
    elif key is None and speaks.key:
        notes.differs(path, "no api_key: LiteLLM would send OPENAI_API_KEY to that server, imagegate sends none")
    headers: dict[str, str] = {}
    for name in ("headers", "extra_headers"):
        given = params.get(name)
        if isinstance(given, Mapping):
            for header, value in given.items():
                if _may_be_set(header):
                    headers[header] = variables.secret(str(value), f"{called}_{header}")
                else:
                    notes.differs((*path, name, header), "the gateway's own to set: left out")
        elif given is not None:
            notes.differs((*path, name), "not a mapping of headers: left out")
    if isinstance(params.get("organization"), str):
        headers["OpenAI-Organization"] = variables.secret(params["organization"], f"{called}_ORGANIZATION")
    return found | ({"headers": headers} if headers else {})


def _may_be_set(header: str) -> bool:
    try:
        _HEADERS.validate_python({header: "value"})
    except ValidationError:
        return False
    return True


def _limits(deployment: Deployment, variables: Variables, notes: Notes) -> dict[str, Any]:
    """Counts of one deployment, which LiteLLM keeps apart, as imagegate does for each provider."""
    found = {}
    for theirs, ours in (("rpm", "requests_per_minute"), ("max_parallel_requests", "max_concurrent")):
        if deployment.params.get(theirs) is None:
            continue
        count = number(deployment.params[theirs], variables)
        if count is None or (isinstance(count, float) and not count.is_integer()):
            notes.differs((*deployment.path, "litellm_params", theirs), "not a whole number of at least 1: left out")
        else:
            found[ours] = count if isinstance(count, str) else int(count)
    return found


def _shape(deployment: Deployment, speaks: Speaks, notes: Notes) -> dict[str, Any]:
    """What the type openai must know of the server: what it does not take, and whose models these are."""
    path = (*deployment.path, "litellm_params", "additional_drop_params")
    given = deployment.params.get("additional_drop_params")
    names = [name for name in given if isinstance(name, str)] if isinstance(given, Sequence) else []
    possible = [name for name in OUR_NAMES if name != NEVER_DROPPED]
    drop = [name for name in dict.fromkeys((*speaks.drop, *names)) if name in possible]
    lost = [name for name in names if name not in possible and name != "response_format"]
    if lost:
        notes.differs(path, f"{one_of(lost)} cannot be dropped by name; imagegate sends a provider only what it takes")
    base = str(deployment.info.get("base_model", "")).rpartition("/")[2]
    gpt = base.startswith(("gpt-image", "chatgpt-image"))
    return ({"drop": drop} if drop else {}) | ({"profile": "gpt-image"} if gpt else {})


def _price(deployment: Deployment, notes: Notes) -> dict[str, Any]:
    """By `litellm_params`, else by `model_info`. LiteLLM's `input_cost_per_image`, alone, is what a picture costs."""
    told = {**deployment.info, **deployment.params}
    price: dict[str, Any] = {}
    each, taken = told.get("output_cost_per_image"), told.get("input_cost_per_image")
    if each is not None:
        price["usd_per_image"] = each
    if taken is not None:
        price["usd_per_image" if each is None else "usd_per_input_image"] = taken
    pixel = told.get("output_cost_per_pixel") or told.get("input_cost_per_pixel")
    if isinstance(pixel, int | float) and not price:
        price["usd_per_megapixel"] = round(pixel * _PIXELS, 9)
        what = "a price per pixel became one per megapixel of 1024 x 1024, which counts up to the next whole one"
        notes.differs(deployment.path, what)
    bad = [name for name, value in price.items() if not isinstance(value, int | float) or value < 0]
    if bad:
        notes.differs(deployment.path, "the price is not a number of US dollars: left out")
    return {"price": price} if price and not bad else {}


def _defaults(deployment: Deployment, notes: Notes) -> dict[str, Any]:
    """Parameters of a request that stand in the entry: what is used where the client says nothing."""
    found = {}
    for name, value in deployment.params.items():
        if name not in DEFAULTABLE or value is None:
            continue
        try:
            read_value(DEFAULTABLE[name], value, name)
        except CallerError:
            path = (*deployment.path, "litellm_params", name)
            notes.differs(path, f"cannot be used as a default; accepted: {DEFAULTABLE[name].accepts}")
        else:
            found[name] = value
    return found


def _say_unread(deployment: Deployment, notes: Notes) -> None:
    """Name what was not looked at, and why where that is known."""
    unread = [name for name in deployment.params if name not in _READ and name not in DEFAULTABLE]
    for section, names in (
        ("litellm_params", unread),
        ("model_info", [name for name in deployment.info if name not in _PLAIN_INFO and name not in _READ]),
    ):
        tokens = [name for name in names if "cost_per" in name or name in ("tpm", "itpm", "otpm")]
        rest = [name for name in names if name not in tokens]
        if tokens:
            notes.differs((*deployment.path, section), f"{one_of(tokens)}: no counterpart, {_COUNTED}")
        if rest:
            notes.differs((*deployment.path, section), f"{one_of(rest)}: no counterpart, left out")
