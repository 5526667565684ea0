"""From a request body to an order: read the parameters, find the routes, plan each, and choose. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.backends import Backend
from gateway.config.entries import RouteEntry
from gateway.config.model import Settings
from gateway.outcome import Candidate, ResponseFormat
from gateway.routing import Catalogue, Resolved, default_response_format
from normalization import planner
from normalization.errors import InvalidValue, UnsupportedParameter
from normalization.reading import Reading, read
from normalization.rules import Profile
from normalization.vocabulary import MEGAPIXEL, Applied, Behavior, ImageRequest


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that could be carried out: its candidates, best first, and how the answer travels."""

    resolved: Resolved
    candidates: tuple[Candidate, ...]
    response_format: ResponseFormat
    delivery: tuple[Applied, ...]
    """Receipt entries for what the gateway itself does with the answer."""
    strict: bool = False

    @property
    def request(self) -> ImageRequest:
        return self.candidates[0].request


class Ordering:
    """Prepares requests against one configuration."""

    def __init__(self, settings: Settings, catalogue: Catalogue, backends: Mapping[str, Backend]) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.backends = backends
        self._profiles: dict[tuple[str, str], Profile] = {}

    def profile(self, provider: str, model: str) -> Profile:
        """The profile of a provider's model, built once."""
        key = (provider, model)
        if key not in self._profiles:
            self._profiles[key] = self.backends[provider].adapter.profile(model)
        return self._profiles[key]

    def prepare(self, body: Mapping[str, Any], resolved: Resolved, *, strict: bool | None = None) -> Prepared:
        """Plan every route of the resolved model. Raises CallerError: a bad parameter, no route that can serve the
        request, or under strict no route that serves it without loss."""
        reading = self._read(body, resolved, None)
        if reading.stream:
            raise UnsupportedParameter("stream: true is not available in this version; leave it out", param="stream")
        candidates, obstacles = [], []
        for route in resolved.routes:
            candidate = self._candidate(body, resolved, route, reading)
            if isinstance(candidate, Candidate):
                candidates.append(candidate)
            else:
                obstacles.append(candidate)
        if not candidates:
            raise InvalidValue(f"no route of {resolved.model!r} can serve this request: {'; '.join(obstacles)}")
        model = self.settings.models.get(resolved.model)
        if model is not None and model.fallback == "free" and candidates[0].price is None:
            candidates = [candidate for candidate in candidates if candidate.price is None]
        strictly = self.settings.normalization.strict if strict is None else strict
        if strictly:
            candidates = _lossless(candidates)
        return Prepared(
            resolved=resolved,
            candidates=tuple(candidates),
            response_format=reading.response_format
            or default_response_format(self.settings.normalization.default_response_format, resolved.requested),
            delivery=_delivery(reading),
            strict=strictly,
        )

    def _read(self, body: Mapping[str, Any], resolved: Resolved, defaults: Mapping[str, Any] | None) -> Reading:
        reading = read(
            body,
            default_model=resolved.model,
            providers=frozenset(self.backends),
            defaults=defaults,
        )
        if "seed" in reading.request.said and reading.request.seed is None:
            reading = replace(reading, request=replace(reading.request, draw=secrets.randbits(32)))
        return reading

    def _candidate(
        self, body: Mapping[str, Any], resolved: Resolved, route: RouteEntry, reading: Reading
    ) -> Candidate | str:
        request = self._read(body, resolved, route.defaults).request if route.defaults else reading.request
        profile = self.profile(route.provider, route.model)
        obstacle = planner.obstacle(request, profile)
        if obstacle is not None:
            return obstacle
        price = None if route.price is None else route.price.value
        plan = planner.plan(
            request,
            profile,
            name=route.provider,
            price=price,
            output_pixels_most=int(self.settings.limits.output_megapixels * MEGAPIXEL),
        )
        backend = self.backends[route.provider]
        return Candidate(backend, profile, request, plan, price, route.timeout_seconds, route.on_unknown)


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
    said = reading.request.said.get("response_format")
    return () if said is None else (Applied("response_format", Behavior.EMULATED, said, None),)
