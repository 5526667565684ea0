"""The worker as a Ray Serve application: replicas that come and go with the load, each with a GPU of its own.

`serve run providers.flux_worker.worker.ray_app:build model=/models/klein open=true`, or a config file with the same
arguments: https://docs.ray.io/en/latest/serve/advanced-guides/app-builder-guide.html. Ray is imported by `build` alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.types import ASGIApp

from providers.flux_worker.worker.desk import Desk, Serving
from providers.flux_worker.worker.options import Number, OptionError, Options, Quantisation, load
from providers.flux_worker.worker.reading import Bounds
from providers.flux_worker.worker.server import create_app

BOUNDS = Bounds()

QUESTIONS = 8
"""Requests beside those for pictures that a replica answers while its queue is full: how it is, and what it can do."""

HEALTH_SECONDS = 5.0
"""Between two looks at a replica."""

PREPARING_SECONDS = 120.0
"""That Ray lets work under way take when a replica is to end, as `imagegate worker` does."""


class UnhealthyReplica(Exception):
    """The replica takes no work and never will: Ray starts another in its place."""


class Arguments(BaseModel):
    """What the application is told. Those of `imagegate worker` have its names; those of Ray's autoscaling Ray's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1)]
    """A diffusers folder that every node has, or a hub's id that lies in its cache."""
    name: str | None = None
    download: bool = False
    dtype: Number | None = None
    compile: bool = False
    sizes: str = ""
    """WxH,... to warm up before a replica counts."""
    attention: str | None = None
    quantize: Quantisation = "none"
    offload: bool = False
    batch: Annotated[int, Field(ge=1, le=64)] = 4
    queue: Annotated[int, Field(ge=0, le=10_000)] = 16
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    fast_threshold: Annotated[float, Field(ge=0, le=1)] = 0.12
    embeddings: Annotated[int, Field(ge=0)] = 256
    pixels: Annotated[int, Field(ge=128 * 128, le=10**9)] = BOUNDS.pixels
    steps: Annotated[int, Field(ge=1, le=10_000)] = BOUNDS.steps
    images: Annotated[int, Field(ge=1, le=1000)] = BOUNDS.images
    api_key_env: str | None = None
    """The environment variable, of each replica, with the key that clients present."""
    open: bool = False
    """Serve without a key: whoever reaches Ray's proxy is served."""
    gpus: Annotated[float, Field(ge=0, le=1)] = 1
    """Of each replica; 0 = it works on the CPU."""
    cpus: Annotated[float, Field(gt=0)] = 1
    min_replicas: Annotated[int, Field(ge=0)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 1
    target_ongoing_requests: Annotated[float, Field(gt=0)] | None = None
    """Of each replica, before there is another; None = as many as step together."""

    @model_validator(mode="after")
    def _together(self) -> Arguments:
        if self.api_key_env is None and not self.open:
            raise ValueError("Ray's proxy is reached from other machines: api_key_env names a key, or open is true")
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas is {self.min_replicas}, and max_replicas {self.max_replicas}")
        try:
            self.options()
        except OptionError as wrong:
            raise ValueError(str(wrong)) from None
        return self

    def options(self) -> Options:
        """Raises OptionError for choices that do not go together."""
        return Options(
            model=self.model,
            download=self.download,
            device=None if self.gpus else "cpu",
            dtype=self.dtype,
            compile=self.compile,
            sizes=tuple(_size(part) for part in self.sizes.split(",") if part.strip()),
            attention=self.attention,
            quantisation=self.quantize,
            offload=self.offload,
            batch_most=self.batch,
            waiting_most=self.queue,
            threads=self.threads,
            fast_threshold=self.fast_threshold,
            embeddings_mib=self.embeddings,
        )

    def serving(self, environment: Mapping[str, str]) -> Serving:
        """Raises OptionError where the environment lacks the key."""
        key = None
        if self.api_key_env is not None:
            key = environment.get(self.api_key_env, "").strip()
            if not key:
                raise OptionError(f"api_key_env: the replica's environment has no {self.api_key_env}, or an empty one")
        return Serving(self.name, key, Bounds(pixels=self.pixels, steps=self.steps, images=self.images))

    def deployment(self) -> dict[str, Any]:
        """The options of Ray's deployment. A replica is handed what its engine has room for, and refuses the rest
        itself: a request that Ray would hold back has no place in a batch."""
        return {
            "name": "flux-worker",
            "ray_actor_options": {"num_gpus": self.gpus, "num_cpus": self.cpus},
            "max_ongoing_requests": 2 * self.batch + self.queue + QUESTIONS,
            "autoscaling_config": {
                "min_replicas": self.min_replicas,
                "max_replicas": self.max_replicas,
                "target_ongoing_requests": self.target_ongoing_requests or self.batch,
            },
            "health_check_period_s": HEALTH_SECONDS,
            "graceful_shutdown_timeout_s": PREPARING_SECONDS,
        }


class Replica:
    """One worker. It counts for Ray once its weights are loaded and its sizes warm."""

    async def __init__(self, arguments: Arguments) -> None:  # type: ignore[misc]  # Ray awaits it
        self._desk = Desk(arguments.serving(os.environ))
        await asyncio.to_thread(self._desk.load, partial(load, arguments.options()))

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """What Ray serves, asked for once the replica is made."""
        return create_app(self._desk)

    async def check_health(self) -> None:
        """Asked by Ray. Raises UnhealthyReplica, as after an error of the device itself."""
        reason = self._desk.why_not()
        if reason is not None:
            raise UnhealthyReplica(reason)

    def __del__(self) -> None:
        desk: Desk | None = getattr(self, "_desk", None)
        if desk is not None:
            desk.drain(0.0)
            desk.codecs.close()


def build(args: dict[str, Any]) -> Any:
    """The application: a `ray.serve.Application` for the values of `Arguments`, which may be texts. Raises OptionError
    that names the first argument that is wrong."""
    try:
        arguments = Arguments.model_validate(args)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise OptionError(f"{where}: {first['msg']}" if where else first["msg"]) from None
    from ray import serve

    return serve.deployment(serve.ingress()(Replica), **arguments.deployment()).bind(arguments)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.strip().partition("x")
    if not all(side.isascii() and side.isdigit() for side in (width, height)):
        raise OptionError(f"sizes holds {text!r}; it must be WxH, both multiples of 16 and at least 128")
    return int(width), int(height)
