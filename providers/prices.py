"""What providers say in public that their models cost.

A price counts only where the page states it in US dollars for a unit that a `Price` knows. What is charged in another
currency, in credits whose price depends on a plan, or by tokens is kept in the page's own words, and its price is
unknown: a wrong price is worse than none. A route's own `price:` is over this table.

There are no rows for the type `openai`: any server may stand behind it, and charge what it likes for the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from normalization.rules import Price


@dataclass(frozen=True, slots=True)
class Listing:
    """What a public page says that a model costs: `said` in its own unit and currency, `price` in US dollars where the
    page has them. `read` is the day on which `source` was read."""

    said: str
    source: str
    read: date
    price: Price | None = None


_MODELVERSE_PAGE: Final = (
    "https://github.com/UCloudDoc-Team/modelverse/blob/059b743147db4629b64d0f1f1494a7715d86808f/price.md"
)
_MODELVERSE_READ: Final = date(2026, 11, 21)

CATALOGUE: Mapping[tuple[str, str], Listing] = {
    ("modelverse", "black-forest-labs/flux-kontext-max/text-to-image"): Listing(
        "0.70 yuan a picture", _MODELVERSE_PAGE, _MODELVERSE_READ
    ),
    ("modelverse", "black-forest-labs/flux-kontext-pro/text-to-image"): Listing(
        "0.35 yuan a picture", _MODELVERSE_PAGE, _MODELVERSE_READ
    ),
    ("modelverse", "black-forest-labs/flux.1-dev"): Listing("0.10 yuan a picture", _MODELVERSE_PAGE, _MODELVERSE_READ),
}
"""By provider type and the provider's own model id."""


def price_of(provider: str, model: str) -> Price | None:
    """The public price of a model at a type of provider; None = unknown."""
    listing = CATALOGUE.get((provider, model))
    return None if listing is None else listing.price
