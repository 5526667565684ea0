"""How answers are written whose request another process has read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from gateway.api.image_writing import KIND as IMAGES
from gateway.api.image_writing import restored_images
from gateway.api.responses.endpoint import restored_response
from gateway.api.responses.telling import KIND as RESPONSE
from gateway.container import Services
from gateway.outcome import Writing

log = logging.getLogger("imagegate.resumption")


def restored(services: Services, recipe: Mapping[str, Any]) -> Writing | None:
    """The `Writing` of a recipe; None where nobody here knows how."""
    if recipe.get("kind") == IMAGES:
        return restored_images(services, recipe)
    if recipe.get("kind") == RESPONSE:
        return restored_response(services, recipe)
    log.error("an answer of the kind %r cannot be written", recipe.get("kind"))
    return None
