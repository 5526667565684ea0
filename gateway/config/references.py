"""Mistakes that show only where two places are compared: a route and the providers, an alias and the other names.

They are looked for in the data as written, tolerantly, so that a wrong type elsewhere does not hide them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.config.entries import COMMON_KEYS, DEFAULTABLE, POLLED_KEYS, TYPE_KEYS
from gateway.config.fields import HOST, is_loopback
from gateway.config.mistakes import Echo, Mistake, Path, one_of, spell, unknown
from gateway.config.model import digest
from gateway.config.redis_url import SCHEMES
from normalization.errors import CallerError
from normalization.values import read_value
from providers.base import Provider

Registry = Mapping[str, type[Provider]]
Names = Mapping[str, Any]


def registry() -> Registry:
    """Every kind of provider; imported late, because the adapters' tables are not needed to print a version."""
    from providers.registry import PROVIDERS

    return PROVIDERS


def keys_of(kind: str, adapters: Registry) -> tuple[str, ...]:
    """The keys that a provider's entry may hold, by its type; of an unknown type, all that any type has."""
    if kind not in adapters:
        return (*COMMON_KEYS, *POLLED_KEYS, *itertools.chain.from_iterable(TYPE_KEYS.values()))
    polled = POLLED_KEYS if adapters[kind].traits.polled else ()
    return (*COMMON_KEYS, *polled, *TYPE_KEYS.get(kind, ()))


def references(echo: Echo, adapters: Registry) -> Iterator[Mistake]:
    """All such mistakes in a configuration's data."""
    yield from _providers(echo, adapters)
    yield from _routes(echo)
    yield from _names(echo)
    yield from _default_model(echo)
    yield from _keys(echo)
    yield from _shared_key(echo)
    host = _mapping(echo.data.get("server")).get("host")
    if isinstance(host, str) and HOST.fullmatch(host):
        problem = exposure(host, _mapping(echo.data.get("auth")))
        if problem is not None:
            yield Mistake(("server", "host"), f"{echo.of(('server', 'host'))} {problem[0]}", problem[1])


def exposure(host: str, auth: Names) -> tuple[str, str] | None:
    """What is wrong, and what would be accepted, where a host beyond this machine would be served without keys."""
    if is_loopback(host) or auth.get("mode") == "none" or auth.get("keys"):
        return None
    return (
        "can be reached from other machines, and no key is configured",
        "a loopback address, at least one key under auth.keys, or auth.mode: none written in the file",
    )


def _providers(echo: Echo, adapters: Registry) -> Iterator[Mistake]:
    for name, entry in _mapping(echo.data.get("providers")).items():
        path: Path = ("providers", name)
        kind, said = _mapping(entry).get("type"), echo.of((*path, "type"))
        if isinstance(entry, dict) and not isinstance(kind, str):
            what = "missing" if kind is None else f"{said} is not text"
            yield Mistake((*path, "type"), what, one_of(adapters))
        if not isinstance(kind, str):
            continue
        if kind not in adapters:
            yield Mistake((*path, "type"), unknown(f"{said} is no type", kind, adapters), one_of(adapters))
        known = keys_of(kind, adapters)
        for key in entry:
            if key not in known:
                yield Mistake((*path, key), unknown(f"unknown key for type {said}", key, known), one_of(known))
        if entry.get("base_url") and entry.get("base_urls"):
            yield Mistake((*path, "base_urls"), "base_url stands there too", "one of them")
        elif (
            kind in adapters
            and adapters[kind].base_url is None
            and not (entry.get("base_url") or entry.get("base_urls"))
        ):
            missing = "base_url, or base_urls for several workers" if "base_urls" in known else "base_url"
            yield Mistake(
                (*path, "base_url"), f"missing; type {kind} has no public address", f"an address as {missing}"
            )
        if "webhooks" in known:
            yield from _webhooks(echo, path, entry)


def _webhooks(echo: Echo, path: Path, entry: Names) -> Iterator[Mistake]:
    """Webhooks need an address that the provider can reach, and the key that signs them."""
    if str(entry.get("webhooks")).lower() != "true":
        return
    if not _mapping(echo.data.get("server")).get("public_url"):
        what = "webhooks come to server.public_url, which is not set"
        yield Mistake((*path, "webhooks"), what, "server.public_url, the gateway's address as the provider reaches it")
    if not entry.get("api_key"):
        yield Mistake((*path, "webhooks"), "webhooks are signed with api_key, which is not set", "api_key beside it")


def _routes(echo: Echo) -> Iterator[Mistake]:
    providers = _mapping(echo.data.get("providers"))
    for name, entry in _mapping(echo.data.get("models")).items():
        for index, route in enumerate(_list(_mapping(entry).get("routes"))):
            path: Path = ("models", name, "routes", index)
            provider = _mapping(route).get("provider")
            if isinstance(provider, str) and providers and provider not in providers:
                what = unknown(f"no provider is named {echo.of((*path, 'provider'))}", provider, providers)
                yield Mistake((*path, "provider"), what, one_of(providers))
            yield from _defaults(echo, (*path, "defaults"))


def _defaults(echo: Echo, path: Path) -> Iterator[Mistake]:
    for name, value in _mapping(echo.value(path)).items():
        if name not in DEFAULTABLE:
            what = unknown("unknown key, or a parameter that can have no default", name, DEFAULTABLE)
            yield Mistake((*path, name), what, one_of(DEFAULTABLE))
        elif value is not None:
            try:
                read_value(DEFAULTABLE[name], value, name)
            except CallerError:
                yield Mistake((*path, name), f"{echo.of((*path, name))} cannot be used", DEFAULTABLE[name].accepts)


def _names(echo: Echo) -> Iterator[Mistake]:
    """Every name leads to one model."""
    models = _mapping(echo.data.get("models"))
    taken: dict[str, Path] = {}
    for name, entry in models.items():
        for index, alias in enumerate(_list(_mapping(entry).get("aliases"))):
            path: Path = ("models", name, "aliases", index)
            if not isinstance(alias, str):
                continue
            if alias in models:
                yield Mistake(path, f"{echo.of(path)} is a model's own name", "a name that leads to one model")
            elif alias in taken:
                what = f"{echo.of(path)} stands under {spell(taken[alias])} too"
                yield Mistake(path, what, "a name that leads to one model")
            taken.setdefault(alias, path)


def _default_model(echo: Echo) -> Iterator[Mistake]:
    wanted, models = echo.data.get("default_model"), _mapping(echo.data.get("models"))
    if not isinstance(wanted, str) or not models:
        return
    aliases = [alias for entry in models.values() for alias in _list(_mapping(entry).get("aliases"))]
    if wanted not in (*models, *aliases):
        what = unknown(f"no model is named {echo.of(('default_model',))}", wanted, models)
        yield Mistake(("default_model",), what, one_of(models))


def _keys(echo: Echo) -> Iterator[Mistake]:
    """One key, one client: otherwise nobody could say whose usage it was."""
    auth = _mapping(echo.data.get("auth"))
    names: dict[str, int] = {}
    held: dict[str, str] = {}
    if isinstance(auth.get("admin_key"), str) and auth["admin_key"]:
        held[digest(auth["admin_key"])] = "auth.admin_key"
    for index, entry in enumerate(_list(auth.get("keys"))):
        path: Path = ("auth", "keys", index)
        name, key = _mapping(entry).get("name"), _mapping(entry).get("key")
        if isinstance(name, str) and name in names:
            what = f"{echo.of((*path, 'name'))} is the name of auth.keys[{names[name]}] too"
            yield Mistake((*path, "name"), what, "another name for each key")
        if isinstance(name, str):
            names.setdefault(name, index)
        if isinstance(key, str) and key and digest(key) in held:
            yield Mistake((*path, "key"), f"the same key as {held[digest(key)]}", "a key of its own")
        if isinstance(key, str) and key:
            held.setdefault(digest(key), spell((*path, "key")))


def _shared_key(echo: Echo) -> Iterator[Mistake]:
    """What replicas share is sealed with a key that all of them have."""
    url = _mapping(echo.data.get("state")).get("url")
    if isinstance(url, str) and url.startswith(SCHEMES) and not _mapping(echo.data.get("storage")).get("signing_key"):
        what = "missing; what lies in the Redis server of state.url is sealed with it"
        yield Mistake(("storage", "signing_key"), what, "a long secret text, the same for all replicas")


def _mapping(value: Any) -> Names:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
