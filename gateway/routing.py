"""Which model a name means: pure, so that every name's fate can be told without asking anybody.

An exact name beats an exact alias beats a known provider's prefix beats a glob; of globs the longest wins, then the
first written. A slash whose left side is no configured provider is part of the name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from gateway.config.entries import RouteEntry
from gateway.config.fields import is_glob
from gateway.config.model import ResponseFormatSetting, Settings
from gateway.config.references import Registry, registry
from normalization.errors import ModelNotFound
from normalization.values import shown

NAME_MOST = 256
"""Characters of a model's name; a longer one is nobody's, and is not compared with patterns."""

OPENAI_PREFIXES = ("gpt-image", "chatgpt-image")
"""Models whose pictures OpenAI returns as base64 alone
(https://platform.openai.com/docs/api-reference/images/create, `response_format`)."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name's meaning. `routes` in the order written, never empty."""

    requested: str
    """The name as the caller wrote it, or the default model's."""
    model: str
    """The configured model's name; for a provider's own id that no route names, what was asked for."""
    routes: tuple[RouteEntry, ...]
    forced: str | None = None
    """The configured provider that the name's prefix forced. There is just one route then, and no fallback."""


class Catalogue:
    """Every name that leads to a model. Built once from the settings, and again when they change."""

    def __init__(self, settings: Settings, *, adapters: Registry | None = None) -> None:
        """`adapters` stands in for the registry, whose known model ids a provider's prefix can reach."""
        known = registry() if adapters is None else adapters
        aliases = [(alias, name) for name, entry in settings.models.items() for alias in entry.aliases]
        self._routes = {name: entry.routes for name, entry in settings.models.items()}
        self._known = {name: frozenset(known[entry.type].known_models) for name, entry in settings.providers.items()}
        self._any = frozenset(name for name, entry in settings.providers.items() if known[entry.type].traits.any_model)
        self._exact = {name: name for name in settings.models} | {
            alias: name for alias, name in aliases if not is_glob(alias)
        }
        globs = ((alias, name) for alias, name in aliases if is_glob(alias))
        self._globs = sorted(globs, key=lambda glob: -len(glob[0]))
        self.default = self._exact[settings.default]
        """The default model's name."""

    def resolve(self, name: str | None) -> Resolved:
        """What a name means; None means the default model. Raises ModelNotFound with the nearest names."""
        if name is None:
            return Resolved(self.default, self.default, self._routes[self.default])
        model = self._exact.get(name)
        if model is None and len(name) <= NAME_MOST:
            provider, slash, rest = name.partition("/")
            if slash and provider in self._known:
                return self._forced(name, provider, rest)
            model = self._by_glob(name)
        if model is None:
            raise _not_found(name, self._exact)
        return Resolved(name, model, self._routes[model])

    def names(self) -> tuple[str, ...]:
        """Models, then exact aliases, in the order written. Globs are no names."""
        return tuple(self._exact)

    def _forced(self, name: str, provider: str, rest: str) -> Resolved:
        """PROVIDER/MODEL: as everywhere, what is written out beats what a glob would make of it; and that beats an id
        that only the provider can know."""
        route = self._on(provider, self._exact.get(rest)) or self._by_own_id(provider, rest)
        if route is None and rest not in self._known[provider]:
            route = self._on(provider, self._by_glob(rest))
        if route is not None:
            return Resolved(name, route[0], (route[1],), provider)
        if rest in self._known[provider] or (provider in self._any and _could_be_one(rest)):
            return Resolved(name, name, (RouteEntry(provider=provider, model=rest),), provider)
        raise _not_found(name, self._names_on(provider))

    def _on(self, provider: str, model: str | None) -> tuple[str, RouteEntry] | None:
        if model is None:
            return None
        return next(((model, route) for route in self._routes[model] if route.provider == provider), None)

    def _by_own_id(self, provider: str, own_id: str) -> tuple[str, RouteEntry] | None:
        for model, routes in self._routes.items():
            for route in routes:
                if (route.provider, route.model) == (provider, own_id):
                    return model, route
        return None

    def _by_glob(self, name: str) -> str | None:
        return next((model for pattern, model in self._globs if fnmatchcase(name, pattern)), None)

    def _names_on(self, provider: str) -> list[str]:
        ours = [name for name, model in self._exact.items() if self._on(provider, model) is not None]
        own = [route.model for routes in self._routes.values() for route in routes if route.provider == provider]
        return [f"{provider}/{name}" for name in dict.fromkeys((*ours, *own, *sorted(self._known[provider])))]


def _could_be_one(own_id: str) -> bool:
    return bool(own_id) and own_id.isprintable() and own_id == own_id.strip()


def allowed(patterns: Iterable[str], requested: str, resolved: Resolved) -> bool:
    """Whether a key limited to `patterns`, names or globs, may use what a name resolved to: by the name that was
    asked for or by the model's own."""
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in (requested, resolved.model))


def default_response_format(setting: ResponseFormatSetting, requested: str) -> Literal["url", "b64_json", "both"]:
    """How pictures travel where the client does not say, by the name it asked for."""
    if setting != "auto":
        return setting
    return "b64_json" if requested.startswith(OPENAI_PREFIXES) else "url"


def _not_found(name: str, known: Iterable[str]) -> ModelNotFound:
    lowered = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name[:NAME_MOST].lower(), lowered, n=3, cutoff=0.5)
    names = [lowered[each] for each in near]
    told = f" Nearest: {', '.join(names)}." if names else ""
    return ModelNotFound(f"The model {shown(name)} does not exist.{told} GET /v1/models lists all.", param="model")
