"""What sketch draws at most, and how much of an edit is drawing: known without anything that draws."""

from __future__ import annotations

SIDE_MOST = 14_142
PIXELS_MOST = 40_000_000

STRENGTH = 0.6
"""How much of an edit is drawing where nobody says; MAX has the same default."""
