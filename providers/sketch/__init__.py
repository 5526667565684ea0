"""The provider that is always there: pictures drawn by rules, labelled as such, at no cost and without a network."""

from providers.sketch.adapter import Sketch
from providers.sketch.drawing import draw
from providers.sketch.redrawing import redraw

__all__ = ["Sketch", "draw", "redraw"]
