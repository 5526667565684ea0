"""Routes and a driver whose every answer is written down beforehand, in a time that passes at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gateway.affording import Affording
from gateway.backends import Backend
from gateway.dispatch import Dispatcher
from gateway.failing import FailureClass
from gateway.outcome import AttemptRecord, CallResult, Candidate, Delivered, Order
from gateway.resending import Repeats, Resending
from gateway.services.breakers import Circuits
from gateway.services.budgets import Allotment
from gateway.services.clock import Clock
from gateway.services.gates import Gate
from gateway.services.speeds import Speeds
from gateway.submission import Driver
from normalization import errors, planner
from normalization.geometry import Offers
from normalization.plan import Call
from normalization.rules import ROWS, Count, Price, Profile, same, unsupported
from normalization.vocabulary import Format, ImageRequest, Size
from providers.base import Traits

ROWS_OF_NOTHING = {name: unsupported("not here") for name in ROWS} | {"prompt": same("prompt"), "seed": same("seed")}


@dataclass
class Time:
    """A clock that a sleep moves, and the chance of the house: always the same."""

    now: float = 1000.0
    chance: float = 1.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep, lambda: self.chance)


class Adapter:
    def __init__(self, traits: Traits) -> None:
        self.traits = traits


def backend(name: str, traits: Traits | None = None, time: Time | None = None, **more: Any) -> Backend:
    clock = Clock().now if time is None else time.clock.now
    known: dict[str, Any] = {"circuits": Circuits(clock=clock), "speeds": Speeds(clock)} | more
    return Backend(name, cast("Any", Adapter(traits or Traits())), (), Gate(100), **known)


def candidate(
    name: str,
    *,
    n: int = 1,
    most: int = 4,
    seed: int | None = None,
    price: Price | None = None,
    said: Mapping[str, Any] | None = None,
    at: Backend | None = None,
    **more: Any,
) -> Candidate:
    profile = Profile(name, f"{name}-model", ROWS_OF_NOTHING, Offers(), count=Count("n", most))
    given = {"n": n, **(said or {})} | ({} if seed is None else {"seed": seed})
    request = ImageRequest("a fox", "m", n=n, seed=seed, said=given, **(said or {}))
    plan = planner.plan(request, profile, name=name, price=price)
    return Candidate(at or backend(name), profile, request, plan, price, **more)


def order(*candidates: Candidate, **more: Any) -> Order:
    return Order("gen_1", "req_1", "m", "m", candidates, **more)


Answer = Callable[[Call], CallResult]


def ok(call: Call, *, only: int | None = None) -> CallResult:
    kept = call.places if only is None else call.places[:only]
    pictures = {place: Delivered(f"picture {place}".encode(), Format.PNG, Size(8, 8)) for place in kept}
    return CallResult(call.places, AttemptRecord("?", "?", "ok", 0.1), pictures, charge="charged", cost_micros=100)


def failing(
    error: errors.ImagegateError,
    failure: FailureClass,
    *,
    outcome: str | None = None,
    refused: bool | None = None,
    seconds: float = 0.1,
) -> Answer:
    """`refused` is what the class says unless it is given."""
    nothing_bought = failure in (FailureClass.NOT_SENT, FailureClass.REFUSED) if refused is None else refused

    def answer(call: Call) -> CallResult:
        return CallResult(
            call.places,
            AttemptRecord("?", "?", outcome or error.code, seconds),
            error=error,
            refused=nothing_bought,
            failure=failure,
            charge="none" if nothing_bought else error.charge,
        )

    return answer


@dataclass
class ScriptedDriver:
    """Answers each submission of a provider in turn; the last answer holds from then on."""

    script: Mapping[str, list[Answer]]
    resending: Resending = field(default_factory=lambda: Resending(Repeats(most=0)))
    submitted: list[tuple[str, Call]] = field(default_factory=list)
    transport: Any = None

    async def submit(self, order: Order, candidate: Candidate, call: Call, deadline: float) -> CallResult:
        self.submitted.append((candidate.plan.provider, call))
        answers = self.script[candidate.plan.provider]
        return (answers.pop(0) if len(answers) > 1 else answers[0])(call)

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.submitted]


async def nothing_spent(key_name: str, allotment: Allotment, now: float) -> int:
    return 0


def dispatcher(driver: ScriptedDriver) -> Dispatcher:
    return Dispatcher(cast("Driver", driver), 40_000_000, Affording(nothing_spent))
