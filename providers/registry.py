"""Every kind of provider, by the `type` that a configuration names. A new one is one line here."""

from __future__ import annotations

from collections.abc import Mapping

from providers.apiframe import Apiframe
from providers.base import Provider
from providers.flux_worker.adapter import FluxWorker
from providers.modelverse import ModelVerse
from providers.onemin import OneMin
from providers.openai import OpenAI
from providers.sketch import Sketch

PROVIDERS: Mapping[str, type[Provider]] = {
    "sketch": Sketch,
    "flux_worker": FluxWorker,
    "apiframe": Apiframe,
    "openai": OpenAI,
    "onemin": OneMin,
    "modelverse": ModelVerse,
}
