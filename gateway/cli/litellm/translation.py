"""The whole file translated: models with their routes, the order in which these are tried, keys, and what is lost."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.cli.litellm.reading import Deployment, LiteLLM
from gateway.cli.litellm.routes import Note, Notes, Translated, number, translate
from gateway.cli.litellm.variables import Variables
from gateway.config.entries import RESERVED_NAMES
from gateway.config.fields import is_glob
from gateway.config.mistakes import one_of, shown
from gateway.config.model import Server

DEADLINE_SECONDS = Server().deadline_seconds
STRATEGIES: Mapping[str, str] = {
    "simple-shuffle": "weighted",
    "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest",
}
"""LiteLLM's `routing_strategy` (https://docs.litellm.ai/docs/routing); others have no counterpart."""

_READ: Mapping[str, frozenset[str]] = {
    "router_settings": frozenset({"routing_strategy", "model_group_alias", "fallbacks", "num_retries", "timeout"}),
    "litellm_settings": frozenset({"fallbacks", "default_fallbacks", "drop_params", "request_timeout", "num_retries"}),
    "general_settings": frozenset({"master_key"}),
}


@dataclass(frozen=True, slots=True)
class Translation:
    """`config` as a configuration file holds it; empty `models` where nothing could be translated."""

    config: Mapping[str, Any]
    notes: tuple[Note, ...]
    made: tuple[str, ...]
    """Variables that stand for what the file held literally, secrets above all."""
    read: Mapping[str, str]
    """Every variable that the configuration reads, and what it stands for: secret, address or number."""
    others: int
    """Entries that are no image models."""


def translation(litellm: LiteLLM) -> Translation:
    """What becomes of a LiteLLM configuration."""
    return _Translator(litellm).run()


class _Translator:
    def __init__(self, litellm: LiteLLM) -> None:
        self.litellm = litellm
        self.variables = Variables(litellm.variables)
        self.notes = Notes()
        self.providers: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, str] = {}
        self.router, self.module, self.general = (
            litellm.sections[name] for name in ("router_settings", "litellm_settings", "general_settings")
        )

    def run(self) -> Translation:
        images = [each for each in self.litellm.deployments if each.makes_pictures]
        models = self._models(images)
        config: dict[str, Any] = {}
        auth = self._auth()
        if auth:
            config["auth"] = auth
        limits = self._limits()
        if limits:
            config["limits"] = limits
        self._say_sections()
        config |= {"providers": self.providers, "models": models}
        return Translation(
            config=config,
            notes=tuple(self.notes.found),
            made=tuple(self.variables.made),
            read=dict(self.variables.read),
            others=len(self.litellm.deployments) - len(images),
        )

    def _models(self, images: Sequence[Deployment]) -> dict[str, dict[str, Any]]:
        groups: dict[str, list[Translated]] = {}
        for deployment in images:
            if is_glob(deployment.name) or deployment.name != deployment.name.strip():
                what = "model_name holds a wildcard or outer spaces, and imagegate must know a model by its exact name"
                self.notes.untranslated(deployment.path, what)
                continue
            translated = translate(deployment, self.variables, self.notes)
            if translated is not None:
                groups.setdefault(deployment.name, []).append(translated)
        self._timeouts()
        routes = {name: self._routes(group) for name, group in groups.items()}
        models: dict[str, dict[str, Any]] = {name: {} for name in groups}
        self._aliases(models)
        spare = self._fallbacks(models)
        for name, group in groups.items():
            models[name] |= self._order(name, group, routes, spare.get(name, ()))
        return models

    def _routes(self, group: Iterable[Translated]) -> list[dict[str, Any]]:
        return [{"provider": self._provider(each), **each.route} for each in group]

    def _provider(self, translated: Translated) -> str:
        """The name of the provider, the same for entries that agree in everything. Limits belong to one model, as
        LiteLLM counts for each entry."""
        entry = dict(translated.entry)
        default = self._default_timeout
        if default is not None:
            entry["timeout_seconds"] = default
        alone = "requests_per_minute" in entry or "max_concurrent" in entry
        owner = translated.route["model"] if alone else ""
        for name, held in self.providers.items():
            if held == entry and self.owners[name] == owner:
                return name
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", translated.wish).strip("-._")[:56] or "openai"
        stem = f"{stem}-provider" if stem in RESERVED_NAMES else stem
        names = itertools.chain([stem], (f"{stem}-{count}" for count in itertools.count(2)))
        name = next(name for name in names if name not in self.providers)
        self.providers[name], self.owners[name] = entry, owner
        return name

    def _timeouts(self) -> None:
        given = self.router.get("timeout", self.module.get("request_timeout"))
        path = ("router_settings", "timeout") if "timeout" in self.router else ("litellm_settings", "request_timeout")
        self._default_timeout = None if given is None else number(given, self.variables)
        if given is not None and self._default_timeout is None:
            self.notes.differs(path, "not a number of seconds: left out")
        if isinstance(self._default_timeout, int | float) and self._default_timeout > DEADLINE_SECONDS:
            what = f"a client has its answer after server.deadline_seconds ({DEADLINE_SECONDS:g}) all the same"
            self.notes.differs(path, what)

    def _order(
        self, name: str, group: Sequence[Translated], routes: Mapping[str, list[dict[str, Any]]], spare: Sequence[str]
    ) -> dict[str, Any]:
        """In which order a model's routes are tried. Routes that stand in for another model's come last."""
        own = [dict(route) for route in routes[name]]
        behind = [dict(route) for other in spare for route in routes[other] if route not in own]
        orders = [each.deployment.params.get("order") for each in group]
        if any(isinstance(order, int) for order in orders):
            places = [order if isinstance(order, int) else 1_000_000 for order in orders]
            ranked = sorted(range(len(own)), key=places.__getitem__)
            return {"routes": [own[place] for place in ranked] + behind}
        wanted = self._strategy(group[0].deployment)
        if len(own) == 1:
            return {"routes": own + behind}
        if behind and wanted != "weighted":
            what = f"the strategy {wanted} would draw the fallbacks of {shown(name)} in: weighted instead"
            self.notes.differs(("router_settings", "fallbacks"), what)
            wanted = "weighted"
        if wanted == "weighted":
            for route, share in zip(own, _shares(group), strict=False):
                route["weight"] = share
            behind = [{**route, "weight": 0} for route in behind]
        return {"strategy": wanted, "routes": own + behind}

    def _strategy(self, deployment: Deployment) -> str:
        said = self.router.get("routing_strategy", "simple-shuffle")
        found = STRATEGIES.get(str(said))
        if found is None:
            what = f"no counterpart for {shown(said)}: weighted instead; also priority, fastest, cheapest"
            note = Note("differs", ("router_settings", "routing_strategy"), what)
            if note not in self.notes.found:
                self.notes.found.append(note)
        return found or "weighted"

    def _aliases(self, models: dict[str, dict[str, Any]]) -> None:
        for alias, meant in (self.router.get("model_group_alias") or {}).items():
            path = ("router_settings", "model_group_alias", alias)
            name = meant.get("model") if isinstance(meant, dict) else meant
            if name not in models:
                if any(each.name == name and each.makes_pictures for each in self.litellm.deployments):
                    self.notes.differs(path, f"left out: {shown(name)} was not translated")
            elif alias in models:
                self.notes.differs(path, "left out: a model of that name is there")
            else:
                models[name].setdefault("aliases", []).append(alias)
                if isinstance(meant, dict) and meant.get("hidden"):
                    self.notes.differs(path, "is hidden in LiteLLM; imagegate lists exact aliases in /v1/models")

    def _fallbacks(self, models: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
        """Model to the models that stand in for it, all of them translated ones."""
        names = {alias: name for name, entry in models.items() for alias in (name, *entry.get("aliases", ()))}
        found: dict[str, list[str]] = {}
        for section, settings in (("router_settings", self.router), ("litellm_settings", self.module)):
            for index, each in enumerate(settings.get("fallbacks") or ()):
                for wanted, others in each.items():
                    if wanted not in names:
                        continue
                    spare = found.setdefault(names[wanted], [])
                    lost = [other for other in others if other not in names]
                    spare += [names[other] for other in others if other in names and names[other] != names[wanted]]
                    if lost:
                        path = (section, "fallbacks", index)
                        self.notes.differs(path, f"{shown(wanted)}: {one_of(map(str, lost))} was not translated")
        given = self.module.get("default_fallbacks")
        for other in given if isinstance(given, list) else ():
            for name in models:
                if other in names and names[other] != name:
                    found.setdefault(name, []).append(names[other])
        if any(found.values()):
            what = (
                "another route is tried only where nothing can have been bought; on_unknown: fallback rather pays twice"
            )
            self.notes.differs(("router_settings", "fallbacks"), what)
        return {name: list(dict.fromkeys(others)) for name, others in found.items()}

    def _auth(self) -> dict[str, Any]:
        key = self.general.get("master_key")
        path = ("general_settings", "master_key")
        if not isinstance(key, str) or not key:
            self.notes.differs(
                path, "none: LiteLLM asks nobody for a key, and neither does this, on this machine alone"
            )
            return {}
        what = (
            "became a client's key, so that clients go on as they are; /admin and /metrics want another one, "
            "auth.admin_key; make keys for users by `imagegate keys create`, LiteLLM's own stay in its database"
        )
        self.notes.differs(path, what)
        return {"keys": [{"name": "litellm-master", "key": self.variables.secret(key, "LITELLM_MASTER_KEY")}]}

    def _limits(self) -> dict[str, Any]:
        section = "router_settings" if "num_retries" in self.router else "litellm_settings"
        given = self.litellm.sections[section].get("num_retries")
        if not isinstance(given, int) or isinstance(given, bool) or given < 0:
            return {}
        what = "became limits.retries, which repeats only what certainly did no work"
        self.notes.differs((section, "num_retries"), what)
        return {"retries": given}

    def _say_sections(self) -> None:
        if self.module.get("drop_params") is False:
            what = "imagegate drops what a provider cannot do and says so; normalization.strict: true refuses instead"
            self.notes.differs(("litellm_settings", "drop_params"), what)
        for section, read in _READ.items():
            unread = [name for name in self.litellm.sections[section] if name not in read]
            if unread:
                self.notes.differs((section,), f"{one_of(unread)}: not translated")
        names = list(self.litellm.sections["environment_variables"])
        if names:
            what = f"set these in the environment of imagegate: {one_of(names)}"
            self.notes.differs(("environment_variables",), what)
        for name in self.litellm.other:
            also = "; translate the files that it names one by one" if name == "include" else ""
            self.notes.differs((name,), f"not translated{also}")


def _shares(group: Sequence[Translated]) -> list[float]:
    """Each one's part of the traffic as LiteLLM's simple-shuffle has it: by `weight` where an entry has one, else by
    `rpm`; nothing where neither is said."""
    for name in ("weight", "rpm"):
        told = [each.deployment.params.get(name) for each in group]
        shares = [value if isinstance(value, int | float) and 0 <= value <= 1_000_000 else 0 for value in told]
        if any(shares):
            return shares
    return []
