"""What is in force, and what is not: the effective configuration for the operator's eyes, and honest warnings."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gateway.config.entries import ProviderEntry
from gateway.config.fields import is_glob
from gateway.config.limits import NOT_YET
from gateway.config.mistakes import URLS, shown, spell
from gateway.config.model import Settings
from gateway.config.references import Registry, keys_of, registry


def effective(settings: Settings, *, adapters: Registry | None = None) -> dict[str, Any]:
    """The configuration in force as JSON data, defaults included; each secret as "set" or "unset"."""
    known = registry() if adapters is None else adapters
    said: dict[str, Any] = _plain(settings.model_dump())
    said["default_model"] = settings.default
    for entry in said["providers"].values():
        for key in set(entry) - set(keys_of(entry["type"], known)):
            del entry[key]
        if not entry["base_url"] and not entry.get("base_urls"):
            entry["base_url"] = known[entry["type"]].base_url or None
    return said


def warnings(settings: Settings, *, adapters: Registry | None = None) -> list[str]:
    """What the operator should know before relying on it, one line each: settings that are accepted but not yet in
    force in this version, secrets in plain sight, and doors left open."""
    known = registry() if adapters is None else adapters
    return [*_doors(settings), *_pictures(settings), *_providers(settings, known), *_idle_limits(settings)]


def _pictures(settings: Settings) -> Iterator[str]:
    storage = settings.storage
    if storage.bucket is not None and storage.signing_key is None:
        yield (
            "storage.signing_key: there is none, so each gateway on the bucket signs with a key of its own, and gives "
            "404 for the URLs of the others"
        )
    if settings.state.redis is not None and storage.bucket is None:
        yield (
            f"storage.url: {storage.url}: replicas share records (state.url) but not pictures, so what one has hosted "
            "is 404 at the others, unless data_dir/pictures is a folder of them all; a bucket is shared by itself"
        )


def lacks_key(entry: ProviderEntry, *, adapters: Registry | None = None) -> bool:
    """Whether a provider that asks everybody for a key has none of ours."""
    known = registry() if adapters is None else adapters
    return bool(known[entry.type].base_url) and entry.api_key is None and not entry.headers


def _doors(settings: Settings) -> Iterator[str]:
    auth = settings.auth
    if auth.mode == "none" and not settings.server.loopback:
        yield (
            f"auth.mode: none: whoever can reach {settings.server.host} can spend on every provider; "
            "add auth.keys to ask for a key"
        )
    if auth.mode == "none" and auth.keys:
        yield "auth.mode: none: the keys under auth.keys are not asked for, and limit nobody"
    if auth.mode == "keys" and not auth.keys:
        yield "auth.keys: there is none, so every request for a picture is refused"
    yield from _idle_names(settings)
    for place in settings.literal_secrets:
        yield f"{place}: the secret stands in the file; a variable, ${{NAME}}, keeps it out of backups and versions"


def _idle_names(settings: Settings) -> Iterator[str]:
    for index, key in enumerate(settings.auth.keys):
        for number, pattern in enumerate(key.models):
            if not _leads(settings, pattern):
                place = spell(("auth", "keys", index, "models", number))
                yield f"{place}: no model and no alias is named {shown(pattern)}, so it lets the key use none"


def _leads(settings: Settings, pattern: str) -> bool:
    """Whether a key may use anything by `pattern`; yes also where nobody can tell, as of what two globs share."""
    names = [*settings.models, *(alias for model in settings.models.values() for alias in model.aliases)]
    provider, slash, _ = pattern.partition("/")
    return (
        any(fnmatchcase(name, pattern) or fnmatchcase(pattern, name) for name in names)
        or (is_glob(pattern) and any(map(is_glob, names)))
        or (bool(slash) and any(fnmatchcase(name, provider) for name in settings.providers))
    )


def _providers(settings: Settings, adapters: Registry) -> Iterator[str]:
    for name, entry in settings.providers.items():
        if lacks_key(entry, adapters=adapters):
            yield f"{spell(('providers', name))}: no api_key, so {entry.type} will refuse every request"


NOT_IN_FORCE = "not yet in force in this version"
"""Said of what the file's format promises and this version accepts without doing it; each use goes when it works."""


def _idle_limits(settings: Settings) -> Iterator[str]:
    for name in sorted(settings.limits.model_fields_set & NOT_YET):
        yield f"limits.{name}: {NOT_IN_FORCE}"


def _bare(value: Any) -> Any:
    """An address without whatever could be a secret in it: who logs in, and a query."""
    if isinstance(value, list):
        return [_bare(each) for each in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(_plain(held)) if name in URLS else _plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, Decimal | float):
        return int(value) if value == int(value) else float(value)
    return str(value) if isinstance(value, FilePath) else value
