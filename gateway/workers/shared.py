"""What a worker counts with: in kind the same as in a single process, but counted by the coordinator."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Any

from gateway.config.limits import Limits
from gateway.services.breakers import Breaking, Circuits, Sign
from gateway.services.gates import Gate
from gateway.services.guesses import Guesses
from gateway.services.pace import LOOKS_SHARE, Pace
from gateway.services.rates import Admission, Limited, Rates, Stay
from gateway.services.wakes import Wakes
from gateway.workers.channel import Channel
from gateway.workers.shares import Part, share_of
from gateway.workers.wire import FOLLOWED, GUESS, HEALTH, RING
from normalization.errors import Draining

NOW = 0.0


class Coordinated:
    """`Sharing` of one of several workers."""

    def __init__(self, channel: Channel, part: Part) -> None:
        self._channel = channel
        self._part = part
        self._paces: dict[str, SharedPace] = {}
        self._circuits: dict[str, SharedCircuits] = {}
        channel.on(FOLLOWED, self._followed)
        channel.on(HEALTH, self._health)

    async def start(self) -> None:
        await self._channel.start()

    def own(self, limits: Limits) -> Limits:
        return share_of(limits, self._part)

    def gate(self, provider: str, limit: int, *, queue: int | None = None) -> Gate:
        return SharedGate(self._channel, f"provider:{provider}", limit, queue=queue)

    def pace(self, provider: str, limit: int | None, seconds: float, *, queue: int | None = None) -> Pace:
        pace = self._paces[provider] = SharedPace(self._channel, provider, limit, seconds, queue=queue)
        return pace

    def circuits(self, provider: str, breaking: Breaking) -> Circuits:
        circuits = self._circuits[provider] = SharedCircuits(self._channel, provider, breaking)
        return circuits

    def rates(self, entries: Iterable[Limited]) -> Rates:
        return SharedRates(self._channel, entries)

    def guesses(self, most: int, most_in_all: int) -> Guesses:
        return SharedGuesses(self._channel, most, most_in_all)

    def wakes(self) -> Wakes:
        return SharedWakes(self._channel)

    def place(self, most: int) -> AbstractAsyncContextManager[object]:
        return SharedGate(self._channel, "house:places", most, queue=0).enter()

    def office(self, name: str) -> AbstractAsyncContextManager[object]:
        return SharedGate(self._channel, f"office:{name}", 1).enter()

    async def hold(self, name: str, seconds: float) -> Callable[[], None]:
        gate = SharedGate(self._channel, f"hold:{name}", 1)
        await gate.take(time.monotonic() + seconds)
        return gate.give_back

    async def inquire(self, event: str, body: Any) -> Any:
        return await self._channel.inquire(event, body)

    def answer(self, event: str, answer: Callable[[Any], Awaitable[Any]]) -> None:
        self._channel.answer(event, answer)

    async def told(self, own: Any) -> list[Any]:
        told: list[Any] = await self._channel.ask("tally", own=own)
        return told

    async def survey(self, event: str) -> list[Any]:
        said: list[Any] = await self._channel.ask("survey", event=event)
        return said

    def close(self) -> None:
        self._channel.close()

    def _followed(self, body: tuple[str, int]) -> None:
        name, jobs = body
        if name in self._paces:
            self._paces[name].followed_by_all = jobs

    def _health(self, body: list[Any]) -> None:
        provider, *told = body
        if provider in self._circuits:
            self._circuits[provider].hear(*told)


class SharedGate(Gate):
    """A gate that all workers go through. `in_flight` and `queued` are this worker's."""

    def __init__(
        self,
        channel: Channel,
        name: str,
        limit: int,
        *,
        queue: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(limit, queue=queue, clock=clock)
        self._channel = channel
        self._name = name
        self._waiting = 0

    @property
    def queued(self) -> int:
        return self._waiting

    def resize(self, limit: int) -> None:
        super().resize(limit)
        self._channel.tell("resize", gate=self._name, limit=limit)

    async def take(self, deadline: float | None = None) -> float:
        self._waiting += 1
        try:
            waited: float = await self._channel.ask(
                "enter",
                undo={"op": "leave", "gate": self._name},
                gate=self._name,
                limit=self._limit,
                queue=self._queue,
                seconds=None if deadline is None else max(NOW, deadline - self._clock()),
            )
        finally:
            self._waiting -= 1
        self._inside += 1
        return waited

    def give_back(self) -> None:
        self._inside -= 1
        self._channel.tell("leave", gate=self._name)


class SharedPace(Pace):
    """A pace that all workers keep together. `queued` is this worker's."""

    def __init__(
        self,
        channel: Channel,
        name: str,
        limit: int | None = None,
        seconds: float = 60.0,
        *,
        queue: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._name = name
        self._waiting = 0
        self.followed_by_all = 0
        super().__init__(limit, seconds, queue=queue, clock=clock)

    @property
    def queued(self) -> int:
        return self._waiting

    def change(self, limit: int | None, seconds: float = 60.0, *, queue: int | None = None) -> None:
        super().change(limit, seconds, queue=queue)
        self._channel.tell("change", pace=self._name, limit=limit, span=seconds, queue=queue)

    async def turn(self, deadline: float | None = None, *, look: bool = False) -> float:
        if self.limit is None:
            return 0.0
        self._waiting += not look
        try:
            return await self._asked(deadline, look)
        except Draining:
            if not look:
                raise
            # The work is bought already: it is followed to its end also where nobody counts any more.
            return 0.0
        finally:
            self._waiting -= not look

    async def _asked(self, deadline: float | None, look: bool) -> float:
        waited: float = await self._channel.ask(
            "turn",
            pace=self._name,
            limit=self.limit,
            span=self.seconds,
            queue=self._queue,
            seconds=None if deadline is None else max(NOW, deadline - self._clock()),
            look=look,
        )
        return waited

    @contextmanager
    def following(self) -> Iterator[None]:
        with super().following():
            self._channel.tell("follow", pace=self._name, by=1)
            try:
                yield
            finally:
                self._channel.tell("follow", pace=self._name, by=-1)

    def spread(self) -> float:
        jobs = max(self._followed, self.followed_by_all)
        return 0.0 if self.limit is None else jobs * self.seconds / (self.limit * LOOKS_SHARE)


class SharedCircuits(Circuits):
    """One provider's circuits, which learn from the calls of all workers, a moment later. Each worker probes for
    itself."""

    def __init__(self, channel: Channel, provider: str, breaking: Breaking) -> None:
        super().__init__(breaking)
        self._channel = channel
        self._provider = provider

    def record(self, model: str, sign: Sign | None, *, began: float, outcome: str) -> None:
        super().record(model, sign, began=began, outcome=outcome)
        if sign is not None:
            self._spread(model, [sign.value, began, outcome], keep=sign is not Sign.WELL)

    def proven(self, model: str) -> None:
        super().proven(model)
        self._spread(model, None, keep=False)

    def hear(self, model: str, told: tuple[str, float, str] | None) -> None:
        """What another worker has recorded; None = a model was proven."""
        if told is not None:
            sign, began, outcome = told
            super().record(model, Sign(sign), began=began, outcome=outcome)
        elif self.state(model) != "closed":
            super().proven(model)

    def _spread(self, model: str, told: list[Any] | None, *, keep: bool) -> None:
        self._channel.spread(HEALTH, [self._provider, model, told], key=f"{self._provider}/{model}", keep=keep)


class SharedGuesses(Guesses):
    """Wrong keys, and addresses that had a right one, are known to all workers, a moment later."""

    def __init__(self, channel: Channel, most: int, most_in_all: int) -> None:
        super().__init__(most, most_in_all)
        self._channel = channel
        channel.on(GUESS, self._heard)

    def failed(self, address: str) -> None:
        super().failed(address)
        self._channel.spread(GUESS, [address, None])

    def proved(self, address: str, digest: str) -> None:
        if (address, digest) not in self._right:
            self._channel.spread(GUESS, [address, digest])
        super().proved(address, digest)

    def _heard(self, body: tuple[str, str | None]) -> None:
        address, digest = body
        if digest is None:
            super().failed(address)
        else:
            super().proved(address, digest)


class SharedWakes(Wakes):
    """A notice wakes whoever waits for the job, in whichever worker."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        channel.on(RING, lambda body: super(SharedWakes, self).ring(*body))

    def ring(self, provider: str, job: str) -> None:
        super().ring(provider, job)
        self._channel.spread(RING, [provider, job])


class SharedRates:
    """`Rates` by the coordinator's count. Keys without limits are told from the others here, and cost nothing."""

    def __init__(self, channel: Channel, entries: Iterable[Limited]) -> None:
        self._channel = channel
        self._limited: dict[str, bool] = {}
        self.configure(entries)

    def configure(self, entries: Iterable[Limited]) -> None:
        self._limited = {
            entry.name: entry.requests_per_minute is not None
            for entry in entries
            if (entry.requests_per_minute, entry.images_per_minute, entry.max_concurrent) != (None, None, None)
        }

    def admit(self, key: str | None, images: int) -> Stay:
        return _SharedStay(self._channel, key if key in self._limited else None, images)

    async def headers(self, key: str | None) -> Mapping[str, str]:
        if key is None or not self._limited.get(key):
            return {}
        headers: dict[str, str] = await self._channel.ask("headers", key=key)
        return headers


class _SharedStay:
    """One request; without a key, of whoever is not limited."""

    __slots__ = ("_channel", "_images", "_key")

    def __init__(self, channel: Channel, key: str | None, images: int) -> None:
        self._channel = channel
        self._key = key
        self._images = images

    async def __aenter__(self) -> Admission:
        if self._key is None:
            return Admission({})
        undo = {"op": "depart", "key": self._key}
        return Admission(await self._channel.ask("admit", undo=undo, key=self._key, images=self._images))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._key is not None:
            self._channel.tell("depart", key=self._key)
