"""The provider that is always there: pictures drawn by rules, labelled as such, at no cost and without a network."""

from providers.sketch.adapter import Sketch
from providers.sketch.drawing import draw

__all__ = ["Sketch", "draw"]
