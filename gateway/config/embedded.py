"""The configuration without a file: a gateway that draws, and whatever else the environment holds a key for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from gateway.config.mistakes import configuration_error
from gateway.config.model import Settings
from gateway.config.references import Registry, registry
from gateway.config.validation import validate
from normalization.errors import ConfigurationError

PROVIDERS: Mapping[str, tuple[str, str, str]] = {
    "apiframe": ("APIFRAME_API_KEY", "apiframe", "api_key"),
    "onemin": ("ONEMIN_API_KEY", "onemin", "api_key"),
    "modelverse": ("MODELVERSE_API_KEY", "modelverse", "api_key"),
    "gpu": ("FLUX_WORKER_URL", "flux_worker", "base_url"),
}
"""Provider's name: the variable that configures it, its type, and the key that the variable fills."""

MODELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "flux-2-max": (("apiframe", "flux-2-max"), ("onemin", "black-forest-labs/flux-2-max")),
    "flux-kontext-max": (("modelverse", "black-forest-labs/flux-kontext-max/text-to-image"),),
    "flux-2-dev": (("gpu", "black-forest-labs/FLUX.2-dev"),),
    "sketch": (("sketch", "sketch"),),
}
"""Each model's routes as (provider, the provider's model id), in the order in which models are preferred as default.
`sketch` stands alone: a drawing by rules is never passed off as another model's picture."""

REFERENCE_NAMES: Mapping[str, tuple[str, ...]] = {
    "flux-2-max": ("flux.2-max", "black-forest-labs/flux-2-max"),
    "flux-2-dev": ("black-forest-labs/FLUX.2-dev",),
    "flux-kontext-max": ("black-forest-labs/flux-kontext-max/text-to-image",),
}
"""The names that the providers' own documentation uses, so that its examples run unchanged."""

DEFAULT_ALIASES = ("gpt-image-*", "chatgpt-image-*", "dall-e-*")


def embedded(
    environ: Mapping[str, str], data_dir: FilePath | str | None = None, *, adapters: Registry | None = None
) -> Settings:
    """The settings without a file: loopback, no keys, `sketch`, and each provider whose variable is set in `environ`.

    An empty variable counts as unset. Raises ConfigurationError naming a variable that cannot be used.
    """
    data = embedded_data(environ)
    if data_dir is not None:
        data["server"] = {"data_dir": str(data_dir)}
    settings, mistakes = validate(data, registry() if adapters is None else adapters)
    if settings is None:
        text = configuration_error("environment", mistakes, {}).message
        for name, (variable, _, key) in PROVIDERS.items():
            text = text.replace(f"providers.{name}.{key}:", f"{variable}:")
        raise ConfigurationError(text)
    return settings


def embedded_data(environ: Mapping[str, str]) -> dict[str, Any]:
    """The same as plain data, as a file would hold it."""
    providers: dict[str, dict[str, str]] = {
        name: {"type": kind, key: environ[variable]}
        for name, (variable, kind, key) in PROVIDERS.items()
        if environ.get(variable)
    }
    providers["sketch"] = {"type": "sketch"}
    models: dict[str, dict[str, Any]] = {}
    for name, routes in MODELS.items():
        present = [{"provider": provider, "model": model} for provider, model in routes if provider in providers]
        if present:
            models[name] = {"aliases": [], "routes": present}
    default = next(iter(models))
    models[default]["aliases"] += DEFAULT_ALIASES
    for name, aliases in REFERENCE_NAMES.items():
        models[name if name in models else default]["aliases"] += aliases
    return {"providers": providers, "models": models, "default_model": default}
