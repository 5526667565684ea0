"""The provider that is always there: pictures drawn by rules, labelled as such, at no cost and without a network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from providers.sketch.adapter import Sketch

if TYPE_CHECKING:
    from providers.sketch.drawing import draw
    from providers.sketch.redrawing import redraw

__all__ = ["Sketch", "draw", "redraw"]

_DRAWING = {"draw": "providers.sketch.drawing", "redraw": "providers.sketch.redrawing"}


def __getattr__(name: str) -> Any:
    """What draws is loaded where something is drawn, in a process of its own; the gateway only plans."""
    if name not in _DRAWING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DRAWING[name]), name)
