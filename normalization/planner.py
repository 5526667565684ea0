"""plan(request, profile) -> Plan: decide everything before a byte is sent.

Pure: equal requests and profiles give equal plans. `n` is native up to the provider's cap and split above it; with a
seed, picture i is made with seed + i, in single calls where a batch would not give those pictures. The order of the
entries is that of the work: prompt, shape, count, seed, parameters, format, extras, what was superseded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from normalization import geometry
from normalization.errors import InvalidValue
from normalization.output import OutputChoice, choose_output
from normalization.payload import Fields, leaf, merged, place, refuse_reserved, sent
from normalization.plan import Call, Composite, Plan
from normalization.pricing import components
from normalization.rules import EDIT_ONLY, MEANS_DEFAULT, NEVER_DEGRADED, ROWS, Price, Profile, Way
from normalization.vocabulary import MEGAPIXEL, Applied, Behavior, ImageRequest, Shape

SEEDS = 2**32

SHAPELESS = ("auto", "custom")
"""Words of a shape parameter that leave the shape to the others."""


@dataclass(slots=True)
class _Draft:
    """What one plan has decided so far."""

    request: ImageRequest
    profile: Profile
    fields: Fields = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Applied] = field(default_factory=dict)
    along: dict[str, str] = field(default_factory=dict)
    """Constant fields that are sent beside a parameter, and whose they are."""

    def put(self, fields: geometry.Fields, owner: str) -> None:
        """Write fields; a parameter whose field is written again has lost to the more specific one."""
        for path, value in fields.items():
            loser = self.owners.get(path)
            if loser is not None and loser != owner:
                self.supersede(loser, owner)
            self.fields[path] = value
            self.owners[path] = owner

    def supersede(self, loser: str, by: str) -> None:
        """Report that a parameter, where it was said, has lost to another."""
        if loser in self.entries:
            lost = self.entries[loser]
            self.entries[loser] = Applied(lost.name, Behavior.DROPPED, lost.requested, None, f"superseded by {by}")

    def report(self, name: str, behavior: Behavior, sent: Any = None, note: str | None = None) -> None:
        """An entry of the receipt, where the caller said the parameter at all."""
        if name in self.request.said:
            self.entries[name] = Applied(name, behavior, self.request.said[name], sent, note)


def plan(
    request: ImageRequest,
    profile: Profile,
    *,
    name: str,
    wanted: Sequence[int] | None = None,
    price: Price | None = None,
    output_pixels_most: int = geometry.OUTPUT_PIXELS_MOST,
) -> Plan:
    """What `profile` will be sent for `request`, and what becomes of each parameter.

    `name` is the configured provider's name; `wanted` the places still to be filled, all by default; `price` what the
    route says it costs, over the profile's own. Raises InvalidValue for what no provider could give: a picture above
    `output_pixels_most`, or an extra that names what the adapter itself sets.
    """
    _refuse_oversize(request, output_pixels_most)
    draft = _Draft(request, profile)
    draft.put(dict(profile.constants), "")
    composite = _composite(request, profile)
    matched = _match(request, profile, composite, output_pixels_most)
    draft.put(matched.fields, "shape")
    for row in ROWS:
        if row != "seed":
            _apply_row(draft, row)
        if row == "prompt":
            _report_mask(draft, matched, composite)
            _report_shape(draft, matched) if composite is None else _report_laid(draft, composite)
    output = choose_output(request, profile.output, matched, composite)
    draft.put(output.fields, "output_format")
    _report_output(draft, output)
    extras = _merge_extras(draft, name)
    calls = _calls(draft, tuple(range(request.n) if wanted is None else wanted), extras)
    _report_overridden(draft, name, extras)
    superseded = [
        Applied(lost.name, Behavior.DROPPED, lost.value, None, f"superseded by {lost.by}")
        for lost in request.superseded
    ]
    return Plan(
        provider=name,
        model=profile.model,
        calls=calls,
        finish=output.finish,
        applied=(*draft.entries.values(), *superseded),
        yields=matched.yields,
        components=components(price or profile.price, calls, matched.yields or output.finish.fit),
    )


def _refuse_oversize(request: ImageRequest, pixels_most: int) -> None:
    size = request.shape.size
    if size is not None and size.pixels > pixels_most:
        names = [each for each, value in request.shape.said if value not in SHAPELESS]
        said = "width" if "width" in names and "size" not in names else "size"
        raise InvalidValue(
            f"{said}: {size} is {size.pixels / MEGAPIXEL:.1f} megapixels; a picture may have at most "
            f"{pixels_most / MEGAPIXEL:g} (limits.output_megapixels)",
            param=said,
        )


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a model cannot serve a request at all, in words for the caller. `param`: what of the request is in the way;
    None = that there is such a request."""

    param: str | None
    why: str


def obstacle(request: ImageRequest, profile: Profile) -> Obstacle | None:
    """What keeps a model from serving a request; None = nothing does."""
    who = f"{profile.model} at {profile.provider}"
    if request.operation not in profile.operations:
        return Obstacle("image" if request.pictures else None, f"{who} cannot {request.operation} pictures")
    if not request.prompt and not profile.prompt_optional:
        return Obstacle("prompt", f"{who} needs a prompt")
    if profile.prompt_max is not None and len(request.prompt) > profile.prompt_max:
        return Obstacle("prompt", f"{who} takes prompts of at most {profile.prompt_max} characters")
    if len(request.pictures) > profile.input_images_max:
        return Obstacle("image", f"{who} takes at most {profile.input_images_max} input pictures")
    if request.mask is not None and profile.mask is None:
        return Obstacle("mask", f"{who} takes no mask")
    return None


def kind(way: Way, name: str) -> Behavior:
    """How a way is reported: `renamed` is passthrough where the field is the top-level one of our own name."""
    return Behavior.PASSTHROUGH if way.kind is Behavior.RENAMED and way.to == name else way.kind


def _choose(profile: Profile, name: str, value: Any) -> Way:
    return next(way for way in profile.rows[name] if way.accepts(value))


def _apply_row(draft: _Draft, name: str) -> None:
    value = getattr(draft.request, name)
    if value is None or (name == "prompt" and not value):
        return
    if name in EDIT_ONLY and draft.request.operation == "generate":
        draft.report(name, Behavior.DROPPED, note=f"{name} means something only with input pictures")
        return
    way = _choose(draft.profile, name, value)
    note = way.note(value)
    fields: Fields = {} if way.to is None else {way.to: way.wire(value), **dict(way.also)}
    if way.kind is Behavior.DROPPED and (name in NEVER_DEGRADED or value in MEANS_DEFAULT.get(name, ())):
        draft.report(name, Behavior.EMULATED if name in NEVER_DEGRADED else Behavior.CONVERTED)
        return
    if name == "background" and value == "transparent" and not draft.request.output_format.transparent and not note:
        note = f"{draft.request.output_format} holds no transparency: flattened on white"
    draft.report(name, kind(way, name), sent(fields), note)
    draft.put(fields, name)
    # Another value for what is sent along does not undo the parameter itself.
    draft.owners.update((path, "") for path, _ in way.also)
    draft.along.update((path, name) for path, _ in way.also)


def _composite(request: ImageRequest, profile: Profile) -> Composite | None:
    """What a mask takes where the provider has none, or changes what it does not show: the picture is laid back into
    its original through the mask."""
    if request.mask is None or not profile.lays_back:
        return None
    return Composite(request.pictures[0], request.mask)


def _match(request: ImageRequest, profile: Profile, composite: Composite | None, pixels_most: int) -> geometry.Match:
    """What to ask for. An edit without a shape of its own keeps that of the first input picture."""
    shape, offers = request.shape, profile.offers
    if composite is not None:
        matched = geometry.match_input(Shape(composite.original.size), composite.original.size, offers, pixels_most)
        return replace(matched, fit=shape.size, slack=0)
    if request.pictures:
        return geometry.match_input(shape, request.pictures[0].size, offers, pixels_most)
    return geometry.match(shape, offers, pixels_most)


def _report_mask(draft: _Draft, matched: geometry.Match, composite: Composite | None) -> None:
    mask = draft.request.mask
    if mask is not None:
        native, shown = draft.profile.mask == "native", mask.entry()
        kind = Behavior.PASSTHROUGH if native else Behavior.EMULATED
        note = None if composite is None else matched.size_note
        draft.entries["mask"] = Applied("mask", kind, shown, shown if native else None, note)


def _report_laid(draft: _Draft, composite: Composite) -> None:
    """The shape of an edit that is laid into its original: exact pixels are cut from that, and nothing else is."""
    request, original = draft.request, composite.original.size
    size = request.shape.size
    for name, value in request.shape.said:
        if value in SHAPELESS or request.shape.match_input:
            draft.report(name, Behavior.CONVERTED)
        elif size is None:
            draft.report(name, Behavior.DROPPED, note="with a mask the picture keeps the shape of its original")
        else:
            larger = size.width > original.width or size.height > original.height
            draft.report(name, Behavior.EMULATED, note=f"enlarged from the original's {original}" if larger else None)


def _report_shape(draft: _Draft, matched: geometry.Match) -> None:
    shown = sent(matched.fields)
    for name, value in draft.request.shape.said:
        notes = {"resolution": matched.tier_note, "aspect_ratio": matched.ratio_note}
        note = matched.size_note if draft.request.shape.size is not None else notes.get(name, matched.ratio_note)
        if value in SHAPELESS:
            draft.report(name, Behavior.CONVERTED)
        elif name == "resolution" and not matched.tier_sent:
            draft.report(name, Behavior.DROPPED, note=note)
        elif not matched.fields:
            lost = note is not None and draft.request.shape.size is None
            draft.report(name, Behavior.DROPPED if lost else Behavior.EMULATED, note=note)
        else:
            draft.report(name, _shape_kind(name, value, matched.fields), shown, note)


def _shape_kind(name: str, value: Any, fields: geometry.Fields) -> Behavior:
    for path, wire in fields.items():
        if str(wire) == str(value) and (name in ("size", "aspect_ratio", "resolution") or leaf(path) == name):
            return Behavior.PASSTHROUGH if path == name else Behavior.RENAMED
    return Behavior.CONVERTED


def _report_output(draft: _Draft, output: OutputChoice) -> None:
    draft.report("output_format", output.behavior, output.word)
    superseded = {lost.name for lost in draft.request.superseded}
    for name in ("output_quality", "output_compression"):
        if name not in superseded:
            draft.report(name, output.quality_behavior, output.quality_sent, output.quality_note)


def _merge_extras(draft: _Draft, name: str) -> Fields:
    """Extras and provider_options by their own names, to be written over everything else."""
    profile, extras = draft.profile, {}
    for key, value in draft.request.extra.items():
        refuse_reserved(profile, key, key)
        if profile.extra == "forward" or key in profile.tolerates:
            extras[key] = value
            kind = Behavior.PASSTHROUGH if place(profile, key) == key else Behavior.RENAMED
            draft.entries[key] = Applied(key, kind, value, value)
        else:
            why = "the provider rejects parameters that it does not know"
            draft.entries[key] = Applied(key, Behavior.DROPPED, value, None, why)
    for key, value in draft.request.provider_options.get(name, {}).items():
        named = f"provider_options.{name}.{key}"
        refuse_reserved(profile, key, named)
        extras[key] = value
        draft.entries[named] = Applied(named, Behavior.PASSTHROUGH, value, value)
    return extras


def _report_overridden(draft: _Draft, name: str, extras: Fields) -> None:
    """A row's parameter whose field an extra writes over is not what the provider gets."""
    for key, value in extras.items():
        path = place(draft.profile, key)
        owner = draft.owners.get(path)
        told = draft.entries.get(draft.along.get(path, ""))
        if told is not None and told.behavior is not Behavior.DROPPED:  # what was superseded sent nothing
            draft.entries[told.name] = replace(told, sent={**told.sent, leaf(path): value})
        if owner in ROWS:
            named = key in draft.request.provider_options.get(name, {})
            draft.supersede(owner, f"provider_options.{name}.{key}" if named else key)


def _seeds(draft: _Draft) -> int | None:
    """The seed of picture 0, reported; None where the provider draws it or has none."""
    request, profile = draft.request, draft.profile
    base = request.seed
    if base is None and profile.needs_seed:
        base = request.draw
    if base is None:
        draft.report("seed", Behavior.CONVERTED)
        return None
    way = _choose(profile, "seed", base)
    note = way.note(base)
    asked = request.said.get("seed")
    if note is None and asked is not None and float(asked) >= SEEDS:
        note = f"seeds are below 2^32: {base} is sent, the value modulo 2^32"
    draft.report("seed", kind(way, "seed"), None if way.to is None else way.wire(base), note)
    if way.to is None:
        return None
    draft.owners[way.to] = "seed"
    return base


def _calls(draft: _Draft, places: tuple[int, ...], extras: Fields) -> tuple[Call, ...]:
    base = _seeds(draft)
    count = draft.profile.count
    groups = list(_split(places, count.most, seeded=base is not None, batch_seeds=count.batch_seeds))
    _report_count(draft, groups)
    calls = []
    for group in groups:
        fields = dict(draft.fields)
        seeds: list[int | None] = [None] * len(group)
        if base is not None:
            seeds = [(base + each) % SEEDS for each in group]
            way = _choose(draft.profile, "seed", seeds[0])
            fields[str(way.to)] = way.wire(seeds[0])
        if count.to is not None and (len(group) > 1 or "n" in draft.request.said):
            fields[count.to] = len(group)
        seeds = _overridden(draft.profile, extras, seeds)
        request, payload = draft.request, merged(fields, draft.profile, extras)
        mask = request.mask if draft.profile.mask == "native" else None
        calls.append(Call(payload, group, tuple(seeds), request.operation, request.pictures, mask))
    return tuple(calls)


def _overridden(profile: Profile, extras: Fields, seeds: list[int | None]) -> list[int | None]:
    """provider_options may name a seed of their own: then that is the first picture's, and the others' is unknown."""
    paths = {way.to for way in profile.rows["seed"]}
    for key, given in extras.items():
        if place(profile, key) in paths:
            known = isinstance(given, int) and not isinstance(given, bool)
            return [given if known else None, *([None] * (len(seeds) - 1))]
    return seeds


def _split(places: Sequence[int], most: int, *, seeded: bool, batch_seeds: bool) -> Iterator[tuple[int, ...]]:
    """Places in groups that one call can make: 10 at a cap of 4 is 4 + 4 + 2. With seeds a batch is a run of
    neighbours, for only then are its seeds those of its places."""
    cap = 1 if seeded and not batch_seeds else most
    group: list[int] = []
    for each in places:
        if group and (len(group) == cap or (seeded and each != group[-1] + 1)):
            yield tuple(group)
            group = []
        group.append(each)
    if group:
        yield tuple(group)


def _report_count(draft: _Draft, groups: list[tuple[int, ...]]) -> None:
    to = draft.profile.count.to
    if to is None:
        draft.report("n", Behavior.EMULATED)
    elif len(groups) == 1:
        draft.report("n", Behavior.PASSTHROUGH if to == "n" else Behavior.RENAMED, len(groups[0]))
    else:
        draft.report("n", Behavior.EMULATED, [len(group) for group in groups])
