"""What a model can do, told from its profile: for `/v1/models`, `imagegate check` and the generated documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normalization.geometry import Grid, Offers, cover
from normalization.payload import leaf, shape_paths
from normalization.planner import kind
from normalization.rules import EDIT_ONLY, MEANS_DEFAULT, NEVER_DEGRADED, ROWS, Price, Profile
from normalization.table import named_ratio, table_size
from normalization.vocabulary import Behavior, Tier

COMMON_RATIOS = ("1:1", "5:4", "4:5", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16", "21:9", "9:21")
COMMON_TIERS = ("0.5", "1", "2", "4")

_BEST = tuple(Behavior)
_WIDEST = ("exact", "grid", "ratio")


def behaviors(profile: Profile) -> dict[str, str]:
    """What becomes of each parameter's ordinary value; a value out of the ordinary may fare worse, and says so."""
    found = {name: _row(profile, name) for name in ROWS}
    found |= _shape(profile.offers)
    to = profile.count.to
    found["n"] = Behavior.EMULATED if to is None else Behavior.PASSTHROUGH if to == "n" else Behavior.RENAMED
    output = profile.output
    found["output_format"] = _named("output_format", output.to)
    for name in ("output_quality", "output_compression"):
        found[name] = _named(name, output.quality_to)
    found["response_format"] = Behavior.EMULATED
    return {name: behavior.value for name, behavior in sorted(found.items())}


def capabilities(profile: Profile, price: Price | None = None, edit: Profile | None = None) -> dict[str, Any]:
    """The `capabilities` object of one route, without its provider and model. `edit` is the profile of a request with
    a picture, which says what is done with pictures; the same where it is left
    out."""
    edit = edit or profile
    edits = "edit" in edit.operations
    parameters = behaviors(profile)
    if edits:
        parameters |= {name: found for name, found in behaviors(edit).items() if name in EDIT_ONLY}
    return {
        "operations": [*(("generate",) if "generate" in profile.operations else ()), *(("edit",) if edits else ())],
        "sizes": _sizes(profile.offers),
        "aspect_ratios": _ratios(profile.offers),
        "resolutions": _tiers(profile.offers),
        "n_native": profile.count.most,
        "formats_native": [form.value for form in profile.output.names],
        "input_images_max": edit.input_images_max if edits else 0,
        **_mask(edit),
        "seed": profile.rows["seed"][0].kind is not Behavior.DROPPED,
        "streaming_partials": profile.shows_partials,
        "parameters": parameters,
        "price": priced(price or profile.price),
    }


def union(routes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The capabilities of a model: of each kind the best that one of its routes has. `routes` is not empty."""

    def merged(key: str) -> list[Any]:
        return list(dict.fromkeys(value for route in routes for value in route[key]))

    names = sorted({name for route in routes for name in route["parameters"]})
    return {
        "operations": merged("operations"),
        "sizes": min((route["sizes"] for route in routes), key=lambda sizes: _WIDEST.index(sizes["kind"])),
        "aspect_ratios": merged("aspect_ratios"),
        "resolutions": merged("resolutions"),
        "n_native": max(route["n_native"] for route in routes),
        "formats_native": merged("formats_native"),
        "input_images_max": max(route["input_images_max"] for route in routes),
        **_any_mask(routes),
        "seed": any(route["seed"] for route in routes),
        "streaming_partials": any(route["streaming_partials"] for route in routes),
        "parameters": {
            name: min((route["parameters"][name] for route in routes), key=lambda each: _BEST.index(Behavior(each)))
            for name in names
        },
        "price": routes[0]["price"],
    }


def _mask(edit: Profile) -> dict[str, Any]:
    """`mask_exact` is there where masks are taken: whether what a mask does not show stays exactly as it was."""
    if "edit" not in edit.operations or edit.mask is None:
        return {"mask": None}
    return {"mask": edit.mask, "mask_exact": edit.lays_back}


def _any_mask(routes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Exact only where every route that takes masks is: nobody knows which one will be asked."""
    masked = [route for route in routes if route["mask"]]
    if not masked:
        return {"mask": None}
    return {"mask": masked[0]["mask"], "mask_exact": all(route["mask_exact"] for route in masked)}


def priced(price: Price | None) -> dict[str, float] | None:
    """A price as JSON, in US dollars; None = unknown."""
    return None if price is None else {name: float(usd) for name, usd in price.parts.items()}


def _row(profile: Profile, name: str) -> Behavior:
    way = profile.rows[name][0]
    if way.kind is Behavior.DROPPED and name in NEVER_DEGRADED:
        return Behavior.EMULATED
    if name in MEANS_DEFAULT and way.kind is Behavior.EMULATED and profile.rows[name][-1].kind is Behavior.DROPPED:
        return Behavior.DROPPED  # only the value that asks for nothing is kept
    return kind(way, name)


def _named(name: str, to: str | None) -> Behavior:
    if to is None:
        return Behavior.EMULATED
    return Behavior.PASSTHROUGH if to == name else Behavior.RENAMED


def _shape(offers: Offers) -> dict[str, Behavior]:
    if not shape_paths(offers):
        return dict.fromkeys(("size", "width", "height"), Behavior.EMULATED) | dict.fromkeys(
            ("aspect_ratio", "resolution"), Behavior.DROPPED
        )
    pixels = {leaf(path): path for path in shape_paths(offers)}
    found = {name: _named(name, pixels.get(name)) for name in ("size", "width", "height", "aspect_ratio")}
    found = {name: Behavior.CONVERTED if each is Behavior.EMULATED else each for name, each in found.items()}
    if offers.kind != "exact":
        found |= dict.fromkeys(("size", "width", "height"), Behavior.CONVERTED)
    if offers.grid is not None:
        found["aspect_ratio"] = Behavior.CONVERTED
    found["resolution"] = Behavior.CONVERTED if _tiers(offers) else Behavior.DROPPED
    return found


def _sizes(offers: Offers) -> dict[str, Any]:
    if offers.grid is not None:
        grid = offers.grid
        bounds = {
            "multiple": grid.multiple,
            "least": grid.least,
            "most": grid.most,
            "pixels_least": grid.pixels_least,
            "pixels_most": grid.pixels_most,
            "ratio_most": grid.ratio_most,
        }
        return {"kind": offers.kind} | {name: value for name, value in bounds.items() if value is not None}
    if offers.sizes is not None:
        return {"kind": "grid", "sizes": [str(size) for size in offers.sizes.sizes]}
    return {"kind": "ratio"}


def _ratios(offers: Offers) -> list[str]:
    if offers.grid is not None:
        return list(COMMON_RATIOS)
    if offers.sizes is not None:
        return [str(size.ratio) for size in offers.sizes.sizes]
    return list(offers.ratios.names) if offers.ratios is not None else []


def _tiers(offers: Offers) -> list[str]:
    if offers.grid is not None:
        return [f"{k}K" for k in COMMON_TIERS if _reaches(offers.grid, Tier.k(k))]
    if offers.ratios is not None:
        return [tier.name for tier in offers.ratios.tiers]
    return ["1K"] if offers.sizes is not None else []


def _reaches(grid: Grid, tier: Tier) -> bool:
    square = table_size(named_ratio("1:1"), tier)
    offer = cover(square, grid)
    return offer.width >= square.width and offer.height >= square.height
