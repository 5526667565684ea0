"""An adapter in conversation with a simulator over the real transport, as far as its last reply."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import httpx

from normalization.plan import Call, Plan
from normalization.planner import plan
from normalization.reading import read
from normalization.vocabulary import Operation, Picture
from providers.base import (
    Artifact,
    Broken,
    Done,
    Failed,
    FilePart,
    Hosted,
    Inline,
    Pending,
    Provider,
    Reply,
    WireRequest,
)
from providers.transport import Target, Transport
from tests.simulators.base import Simulator

SECRET = "planted-secret-0123456789abcdef"
ATTEMPT = "att_0123456789abcdef"
LOOKS_MOST = 20


def planned(adapter: Provider, model: str, **body: Any) -> Plan:
    """The plan of a request body, `prompt` filled in, for one model of a provider called p."""
    return edited(adapter, model, (), **body)


def edited(adapter: Provider, model: str, pictures: tuple[Picture, ...], /, **body: Any) -> Plan:
    """The same with pictures to edit; `mask` may be in the body."""
    asked: dict[str, Any] = {"prompt": "a red fox", **body}
    mask = asked.pop("mask", None)
    operation: Operation = "edit" if pictures else "generate"
    request = read(asked, default_model="m", operation=operation, providers=frozenset({"p"})).request
    request = replace(request, pictures=pictures, mask=mask)
    return plan(request, adapter.profile(model, len(pictures)), name="p")


def call_of(adapter: Provider, model: str, **body: Any) -> Call:
    """The only call of a plan that has one."""
    (call,) = planned(adapter, model, **body).calls
    return call


def first(adapter: Provider, call: Call) -> WireRequest:
    request = adapter.submit(call, ATTEMPT)
    assert isinstance(request, WireRequest)
    return request


async def converse(adapter: Provider, simulator: Simulator, call: Call) -> Done | Failed | Broken:
    """Submit a call and look at its job until it ends, without waiting in between."""
    target = Target(simulator.base_url, adapter.headers(SECRET))
    request = first(adapter, call)
    async with Transport() as transport:
        for _ in range(LOOKS_MOST):
            answer = await transport.exchange(request, target, deadline=time.monotonic() + 30)
            if isinstance(answer, Broken):
                return answer
            reply: Reply = adapter.read(answer, request, call)
            if not isinstance(reply, Pending):
                return reply
            request = reply.next
    raise AssertionError(f"no end after {LOOKS_MOST} looks")


def fetched(artifact: Artifact, simulator: Simulator) -> bytes:
    """The bytes of a picture, fetched from where the provider says and without its credentials."""
    if artifact.data is not None:
        return artifact.data
    assert artifact.url is not None
    answer = httpx.get(urljoin(simulator.base_url + "/", artifact.url), timeout=30)
    return answer.raise_for_status().content


def leaves(payload: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Dotted path to value of everything in a payload."""
    found: dict[str, Any] = {}
    for name, value in payload.items():
        here = f"{path}{name}"
        found |= leaves(value, f"{here}.") if isinstance(value, dict) else {here: value}
    return found


def carried(request: WireRequest) -> list[Picture]:
    """The pictures that a request carries, in order."""
    return list(_pictures(request.json if request.form is None else list(request.form)))


def _pictures(value: Any) -> Iterator[Picture]:
    if isinstance(value, Inline | Hosted | FilePart):
        yield value.picture
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _pictures(inner)
