"""From a request body to an order: read the parameters, find the routes, plan each, and rank them. Pure but for the
draws of `weighted` and of a random seed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.backends import Backend, local
from gateway.config.entries import RouteEntry
from gateway.config.model import Settings
from gateway.outcome import Candidate, ResponseFormat
from gateway.routing import Catalogue, Resolved, default_response_format
from gateway.strategies import ranked
from normalization import planner
from normalization.errors import InvalidValue, UnpricedRoute, UnsupportedParameter
from normalization.reading import DELIVERY, Reading, read
from normalization.rules import Profile
from normalization.vocabulary import MEGAPIXEL, Applied, Behavior, Format, ImageRequest, Operation, Picture


@dataclass(frozen=True, slots=True)
class Asked:
    """What an endpoint has read of a request before any route is looked at: the images API's parameters as a body, and
    the pictures that came with them. `format` and `response_format` are the endpoint's where the caller says none;
    None = as configured."""

    body: Mapping[str, Any]
    operation: Operation = "generate"
    pictures: tuple[Picture, ...] = ()
    mask: Picture | None = None
    format: Format = Format.PNG
    response_format: ResponseFormat | None = None
    base: str = ""
    """The address under which a provider could fetch pictures from the gateway."""
    promptless: bool = False
    """A prompt may be missing."""
    thumbnail: int | None = None
    """A thumbnail of each picture is wanted too, of at most so many pixels a side."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that could be carried out: its candidates, best first, and how the answer travels."""

    resolved: Resolved
    candidates: tuple[Candidate, ...]
    response_format: ResponseFormat
    delivery: tuple[Applied, ...]
    """Receipt entries for what the gateway itself does with the answer."""
    strict: bool = False
    stream: bool = False
    partial_images: int = 0
    base: str = ""

    @property
    def request(self) -> ImageRequest:
        return self.candidates[0].request


class Ordering:
    """Prepares requests against one configuration. `chance`, a number from 0 to 1, draws for `strategy: weighted`."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        backends: Mapping[str, Backend],
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.chance = chance
        self.settings = settings
        self.catalogue = catalogue
        self.backends = backends
        self._profiles: dict[tuple[str, str, int], tuple[int, Profile]] = {}

    def profile(self, provider: str, model: str, pictures: int = 0) -> Profile:
        """The profile of a provider's model for so many input pictures, built anew when more is known of it."""
        adapter = self.backends[provider].adapter
        knows, key = getattr(adapter, "knows", 0), (provider, model, pictures)
        found = self._profiles.get(key)
        if found is None or found[0] != knows:
            found = self._profiles[key] = knows, adapter.profile(model, pictures)
        return found[1]

    def check(self, asked: Asked, resolved: Resolved) -> None:
        """Raise what is wrong with the parameters, before anything is done about the pictures."""
        self._read(asked, resolved, None)

    def promptless(self, resolved: Resolved) -> bool:
        """Whether a route of the model makes a picture from a picture alone."""
        profiles = (self.profile(route.provider, route.model, 1) for route in resolved.routes)
        return any("edit" in profile.operations and profile.prompt_optional for profile in profiles)

    def prepare(
        self, asked: Asked, resolved: Resolved, *, strict: bool | None = None, unpriced: bool = True
    ) -> Prepared:
        """Plan every route of the resolved model; those whose price is unknown only where `unpriced`. Raises
        CallerError: a bad parameter, no route that can serve the request, or under strict no route that serves it
        without loss."""
        reading = self._read(asked, resolved, None)
        candidates, obstacles = [], []
        for route in resolved.routes:
            candidate = self._candidate(asked, resolved, route, reading)
            if isinstance(candidate, Candidate):
                candidates.append(candidate)
            else:
                obstacles.append(candidate)
        if not candidates:
            raise _no_route(resolved, obstacles)
        if not unpriced:
            candidates = _priced(resolved, candidates)
        candidates = self._ranked(resolved, candidates)
        strictly = self.settings.normalization.strict if strict is None else strict
        if strictly:
            candidates = _lossless(candidates)
        return Prepared(
            resolved=resolved,
            candidates=tuple(candidates),
            response_format=reading.response_format
            or asked.response_format
            or default_response_format(self.settings.normalization.default_response_format, resolved.requested),
            delivery=_delivery(reading),
            strict=strictly,
            stream=reading.stream,
            partial_images=reading.partial_images,
            base=asked.base,
        )

    def _read(self, asked: Asked, resolved: Resolved, defaults: Mapping[str, Any] | None) -> Reading:
        reading = read(
            asked.body,
            default_model=resolved.model,
            operation=asked.operation,
            default_format=asked.format,
            prompt_required=not asked.promptless,
            providers=frozenset(self.backends),
            defaults=defaults,
        )
        request = replace(reading.request, pictures=asked.pictures, mask=asked.mask)
        if "seed" in request.said and request.seed is None:
            request = replace(request, draw=secrets.randbits(32))
        return replace(reading, request=request)

    def _ranked(self, resolved: Resolved, candidates: list[Candidate]) -> list[Candidate]:
        """Best first by the model's strategy; those whose circuit is open last. What is free to fall to is decided
        before that: trouble at a provider must not make a free request a paid one."""
        model = self.settings.models.get(resolved.model)
        if model is not None:
            candidates = ranked(candidates, model.strategy, self.chance)
            if model.fallback == "free" and not _paid(candidates[0]):
                candidates = [candidate for candidate in candidates if not _paid(candidate)]
        return sorted(candidates, key=lambda each: each.backend.circuits.last(each.plan.model))

    def _candidate(
        self, asked: Asked, resolved: Resolved, route: RouteEntry, reading: Reading
    ) -> Candidate | planner.Obstacle:
        request = self._read(asked, resolved, route.defaults).request if route.defaults else reading.request
        profile = self.profile(route.provider, route.model, len(request.pictures))
        backend = self.backends[route.provider]
        obstacle = planner.obstacle(request, profile) or _unreachable(asked, profile, backend)
        if obstacle is not None:
            return obstacle
        price = profile.price if route.price is None else route.price.value
        plan = planner.plan(
            request,
            profile,
            name=route.provider,
            price=price,
            output_pixels_most=int(self.settings.limits.output_megapixels * MEGAPIXEL),
        )
        if reading.stream:
            plan = plan.followed(reading.partial_images)
        plan = plan.with_thumbnails(asked.thumbnail)
        return Candidate(backend, profile, request, plan, price, route.timeout_seconds, route.on_unknown, route.weight)


def _paid(candidate: Candidate) -> bool:
    """Whether a route has a price: one that is unknown or zero is none."""
    return candidate.price is not None and not candidate.price.free


def _unreachable(asked: Asked, profile: Profile, backend: Backend) -> planner.Obstacle | None:
    """Why a provider that fetches input pictures could not fetch them from us."""
    if not (asked.pictures and profile.hosted) or not local(asked.base):
        return None
    if any(local(target.base_url) for target in backend.targets):
        return None
    return planner.Obstacle(
        "image",
        f"{profile.model} at {profile.provider} fetches input pictures by URL, and cannot reach {asked.base or 'us'}: "
        "server.public_url must name an address of the gateway that it can",
    )


def _no_route(resolved: Resolved, obstacles: list[planner.Obstacle]) -> InvalidValue:
    """Names what is in the way on every route; where that differs, the way of the first."""
    why = "; ".join(each.why for each in obstacles)
    return InvalidValue(f"no route of {resolved.model!r} can serve this request: {why}", param=obstacles[0].param)


def _priced(resolved: Resolved, candidates: list[Candidate]) -> list[Candidate]:
    kept = [candidate for candidate in candidates if candidate.plan.cost_micros is not None]
    if not kept:
        raise UnpricedRoute(
            f"nobody knows what {resolved.model!r} would cost for this request, and this key's budget refuses that; "
            "the operator can give a route of it a price, or the budget `unpriced: allow`",
            param="model",
        )
    return kept


def _lossless(candidates: list[Candidate]) -> list[Candidate]:
    kept = [candidate for candidate in candidates if candidate.plan.lossless]
    if kept:
        return kept
    entry = next(entry for entry in candidates[0].plan.applied if entry.note is not None)
    raise UnsupportedParameter(
        f"{entry.name}: {entry.requested!r} would be degraded ({entry.note}), and strict is on; change it, or leave "
        "strict off to accept that",
        param=entry.name,
    )


def _delivery(reading: Reading) -> tuple[Applied, ...]:
    said = reading.request.said
    return tuple(Applied(name, Behavior.EMULATED, said[name], None) for name in DELIVERY if name in said)
