"""The families of FLUX models: what each reads, how it takes a step, and how its latents become a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from providers.flux_worker.worker.folders import Kind

if TYPE_CHECKING:
    from providers.flux_worker.worker.caching import FirstBlocks
    from providers.flux_worker.worker.embeddings import Embeddings
    from providers.flux_worker.worker.families.family import Family


def load_family(pipe: Any, kind: Kind, device: str, embeddings: Embeddings, cache: FirstBlocks) -> Family:
    """The family of a loaded pipeline; imports diffusers."""
    match kind.architecture:
        case "flux1":
            from providers.flux_worker.worker.families.flux1 import Flux1

            return Flux1(pipe, kind, device, embeddings, cache)
        case "flux2":
            from providers.flux_worker.worker.families.flux2 import Flux2

            return Flux2(pipe, kind, device, embeddings, cache)
        case "flux2-kv":
            from providers.flux_worker.worker.families.kv import Flux2Kv

            return Flux2Kv(pipe, kind, device, embeddings, cache)
