"""Payloads: dotted paths into nested JSON objects, and what may be merged into them from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normalization.errors import InvalidValue
from normalization.geometry import Offers
from normalization.rules import RESERVED, Profile, bare
from normalization.vocabulary import Size

Fields = dict[str, Any]
"""Dotted path to value: `{"fluxParams.seed": 7}`."""


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object that dotted paths describe."""
    body: dict[str, Any] = {}
    for path, value in fields.items():
        *parents, leaf = path.split(".")
        _object(body, parents)[leaf] = value
    return body


def merged(fields: Mapping[str, Any], profile: Profile, extras: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of `fields` with `extras` written over it. An extra's name is the caller's and no path: a dot
    in it is a dot."""
    body = nested(fields)
    if extras:
        _object(body, profile.extra_under.split(".") if profile.extra_under else []).update(extras)
    return body


def _object(body: dict[str, Any], parents: list[str]) -> dict[str, Any]:
    for parent in parents:
        body = body.setdefault(parent, {})
    return body


def leaf(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def sent(fields: Mapping[str, Any]) -> Any:
    """What the receipt shows as sent: the value of one field, or names and values of several; None = nothing."""
    if not fields:
        return None
    if len(fields) == 1:
        return next(iter(fields.values()))
    return {leaf(path): value for path, value in fields.items()}


def shape_paths(offers: Offers) -> set[str]:
    """Every path that the shape of a picture is written to."""
    paths: set[str] = set()
    for pixels in (offers.grid, offers.sizes):
        if pixels is not None:
            paths |= set(pixels.write(Size(1024, 1024)))
    if offers.ratios is not None:
        paths |= {offers.ratios.to} | ({offers.ratios.tier_to} if offers.ratios.tier_to else set())
    return paths


def _paths(profile: Profile) -> set[str]:
    """Every path that the profile may write, and one below the object that extras are merged into."""
    output = profile.output
    named = {output.to, output.quality_to, profile.count.to, place(profile, "")}
    named |= {way.to for row in profile.rows.values() for way in row}
    named |= {path for row in profile.rows.values() for way in row for path, _ in way.also}
    return {path for path in named if path} | {path for path, _ in profile.constants} | shape_paths(profile.offers)


def place(profile: Profile, key: str) -> str:
    """The path at which an extra of this name reaches the provider."""
    return key if profile.extra_under is None else f"{profile.extra_under}.{key}"


def refuse_reserved(profile: Profile, key: str, named: str) -> None:
    """Raises InvalidValue where the adapter itself sets or bills by `key`; `named` is its full name for the caller."""
    own = {leaf(path) for path in shape_paths(profile.offers)} | {path.split(".")[0] for path, _ in profile.constants}
    own |= {leaf(way.to) for way in profile.rows["prompt"] if way.to}
    own |= {parent for path in _paths(profile) for parent in path.split(".")[:-1]}
    if profile.count.to is not None:
        own.add(leaf(profile.count.to))
    if bare(key) in RESERVED | {bare(name) for name in own | profile.reserved}:
        raise InvalidValue(
            f"{named} cannot be set: the gateway itself sets or bills by it; use the request's own parameters",
            param=named,
        )
