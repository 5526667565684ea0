"""Kinds of provider for tests of the configuration: one of each nature, so that the real ones can change freely."""

from __future__ import annotations

from typing import Any, cast

from providers.base import Provider, Traits


def kind(
    name: str,
    base_url: str | None,
    *,
    polled: bool = False,
    any_model: bool = False,
    known: tuple[str, ...] = (),
) -> type[Provider]:
    members: dict[str, Any] = {
        "type": name,
        "base_url": base_url,
        "traits": Traits(polled=polled, any_model=any_model),
        "known_models": known,
    }
    return cast("type[Provider]", type(name, (), members))


KINDS = {
    "sketch": kind("sketch", "", known=("sketch",)),
    "flux_worker": kind("flux_worker", None, known=("black-forest-labs/FLUX.2-dev",)),
    "apiframe": kind("apiframe", "https://api.apiframe.ai", polled=True, known=("flux-2-max", "flux-2-pro")),
    "onemin": kind("onemin", "https://api.1min.ai", known=("black-forest-labs/flux-2-max",)),
    "modelverse": kind("modelverse", "https://api.umodelverse.ai"),
    "openai": kind("openai", None, any_model=True, known=("gpt-image-1",)),
}
