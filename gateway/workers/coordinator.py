"""The coordinator: holds in memory what all workers of a gateway count together, and hands it out in order.

It works with the very gates, paces and rates that a single process works with. What a worker holds is bound to its
connection, so that one that dies, however it dies, holds nothing any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from gateway.services.gates import Gate
from gateway.services.pace import Pace
from gateway.services.rates import KeyRates, KeyStay, Limited
from gateway.services.sharing import TALLY
from gateway.workers.wire import FOLLOWED, Lines, Message, error_message, line

log = logging.getLogger("imagegate.coordinator")

TALLY_SECONDS = 2.0
"""How long a worker may take to tell what it counts."""
KEPT_MOST = 64
KEPT_SECONDS = 600.0
"""What is kept for workers to come is old news after this."""


class Coordinator:
    """For one event loop. `connect` makes the protocol of one worker's connection."""

    def __init__(self, keys: Iterable[Limited], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.rates = KeyRates(keys, clock=clock)
        self.gates: dict[str, Gate] = {}
        self.paces: dict[str, Pace] = {}
        self.desks: list[Desk] = []
        self.kept: dict[tuple[str, str], deque[tuple[float, Any]]] = {}
        self.counted: Counter[str] = Counter()
        """What workers that are gone had told that they counted."""

    def connect(self, ready: Callable[[], None] = lambda: None) -> Desk:
        """`ready` is called once the worker takes requests."""
        return Desk(self, ready)

    def tell(self, event: str, body: Any, *, but: Desk | None = None) -> None:
        """Tell every worker, `but` for one."""
        for desk in self.desks:
            if desk is not but:
                desk.say(event, body)

    def gate(self, name: str, limit: int, queue: int | None) -> Gate:
        """The gate of this name, of the size that was named last."""
        gate = self.gates.get(name)
        if gate is None:
            gate = self.gates[name] = Gate(limit, queue=queue, clock=self.clock)
        elif gate.limit != limit:
            gate.resize(limit)
        return gate

    def drop(self, name: str) -> None:
        """Forget a gate with nobody inside or in line: names may be as many as requests."""
        gate = self.gates.get(name)
        if gate is not None and not gate.in_flight and not gate.queued:
            del self.gates[name]

    def pace(self, name: str, limit: int | None, span: float, queue: int | None) -> Pace:
        """The pace of this name, as it was named last. What was taken stays taken."""
        pace = self.paces.get(name)
        if pace is None:
            pace = self.paces[name] = Pace(limit, span, queue=queue, clock=self.clock)
        elif (pace.limit, pace.seconds) != (limit, span):
            pace.change(limit, span, queue=queue)
        return pace

    def followed(self, name: str) -> None:
        """Tell how many jobs are looked at."""
        self.tell(FOLLOWED, [name, sum(desk.follows[name] for desk in self.desks)])

    def keep(self, event: str, key: str, body: Any) -> None:
        """Tell it again to workers that start later, until it is cleared."""
        kept = self.kept.setdefault((event, key), deque(maxlen=KEPT_MOST))
        kept.append((self.clock(), body))

    def recall(self, desk: Desk) -> None:
        """Tell a new worker what was kept."""
        oldest = self.clock() - KEPT_SECONDS
        for (event, key), kept in list(self.kept.items()):
            while kept and kept[0][0] < oldest:
                kept.popleft()
            if not kept:
                del self.kept[event, key]
            for _, body in kept:
                desk.say(event, body)

    async def inquire(self, event: str, body: Any, asking: Desk) -> Any:
        """The first answer of another worker that is not null; they are asked one after the other."""
        for desk in tuple(self.desks):
            if desk is not asking and desk.ready and desk in self.desks:
                found = await desk.inquire(event, body)
                if found is not None:
                    return found
        return None

    async def survey(self, event: str, asking: Desk) -> list[Any]:
        """The answers of all other workers that are not null."""
        others = [desk for desk in self.desks if desk is not asking and desk.ready]
        answers = await asyncio.gather(*(desk.soon(event) for desk in others))
        return [answer for answer in answers if answer is not None]

    async def told(self, own: Any, asking: Desk) -> list[Any]:
        """What every worker tells of itself, and what those counted that are gone. One that does not answer in time has
        counted what it told the last time."""
        others = [desk for desk in self.desks if desk is not asking and desk.ready]
        asking.counted = own["lasting"]
        answers = await asyncio.gather(*(desk.tallied() for desk in others))
        # Whoever went meanwhile stands among the gone by now.
        there = [answer for desk, answer in zip(others, answers, strict=True) if desk in self.desks]
        return [own, *there, {"lasting": self.counted}]


class Desk(asyncio.Protocol):
    """One worker's connection, and what it holds."""

    def __init__(self, coordinator: Coordinator, ready: Callable[[], None]) -> None:
        self._coordinator = coordinator
        self._on_ready = ready
        self._lines = Lines()
        self._transport: asyncio.WriteTransport | None = None
        self._asked: dict[int, asyncio.Task[Any]] = {}
        self._inside: Counter[str] = Counter()
        self._stays: defaultdict[str, list[KeyStay]] = defaultdict(list)
        self._inquiries: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self.follows: Counter[str] = Counter()
        self.ready = False
        self.counted: dict[str, float] = {}
        """What this worker told of what it counts, the last time."""
        self.lost = asyncio.Event()
        """Set once the connection is gone and all that it held is free."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._coordinator.desks.append(self)
        self._coordinator.recall(self)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._lines.feed(data):
                self._hear(message)
        except (LookupError, TypeError, ValueError):
            log.exception("a worker said something that makes no sense; its connection is cut")
            assert self._transport is not None  # noqa: S101  (what was received came through it)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._coordinator.desks.remove(self)
        self._coordinator.counted.update(self.counted)
        for inquiry in self._inquiries.values():
            if not inquiry.done():
                inquiry.set_result(None)
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        self._farewell = asyncio.ensure_future(self._let_go(tasks))

    async def _let_go(self, tasks: list[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        for name, places in self._inside.items():
            for _ in range(places):
                self._coordinator.gates[name].give_back()
            self._coordinator.drop(name)
        for stays in self._stays.values():
            for stay in stays:
                stay.end()
        for name in [name for name, count in self.follows.items() if count]:
            self._coordinator.followed(name)
        self.lost.set()

    def close(self) -> None:
        """Let this worker go."""
        if self._transport is not None:
            self._transport.close()

    def say(self, event: str, body: Any) -> None:
        """Tell this worker."""
        self._send({"event": event, "body": body})

    async def inquire(self, event: str, body: Any) -> Any:
        """What this worker answers; None where it is gone."""
        number = next(self._numbers)
        answer = self._inquiries[number] = asyncio.get_running_loop().create_future()
        self._send({"inquiry": number, "event": event, "body": body})
        try:
            return await answer
        finally:
            del self._inquiries[number]

    async def tallied(self) -> Any:
        """What this worker tells of itself; what it counted before, where it does not answer in time."""
        told = await self.soon(TALLY)
        if told is None:
            return {"lasting": self.counted}
        self.counted = told["lasting"]
        return told

    async def soon(self, event: str) -> Any:
        """What this worker answers; None also where it takes too long."""
        try:
            async with asyncio.timeout(TALLY_SECONDS):
                return await self.inquire(event, None)
        except TimeoutError:
            return None

    def _send(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line(message))

    def _hear(self, message: Message) -> None:
        op, id = message["op"], message.get("id")
        if id is None:
            _TOLD[op](self, message)
            return
        # In the order in which they come: a task that is made first runs first, and so stands in line first.
        task = self._asked[id] = asyncio.ensure_future(_ASKED[op](self, message))
        task.add_done_callback(lambda done: self._answer(id, done))

    def _answer(self, id: int, task: asyncio.Task[Any]) -> None:
        del self._asked[id]
        if task.cancelled():
            answer: Message = {"error": "cancelled", "message": ""}
        elif (error := task.exception()) is not None:
            answer = error_message(error)
        else:
            answer = {"value": task.result()}
        self._send({"id": id, **answer})

    # ---- what is asked

    async def _enter(self, message: Message) -> float:
        name = message["gate"]
        gate = self._coordinator.gate(name, message["limit"], message["queue"])
        try:
            waited = await gate.take(self._deadline(message))
        except BaseException:
            self._coordinator.drop(name)
            raise
        self._inside[name] += 1
        return waited

    async def _turn(self, message: Message) -> float:
        pace = self._coordinator.pace(message["pace"], message["limit"], message["span"], message["queue"])
        return await pace.turn(self._deadline(message), look=message["look"])

    async def _admit(self, message: Message) -> dict[str, str]:
        key = message["key"]
        stay = self._coordinator.rates.admit(key, message["images"])
        admission = stay.begin()
        self._stays[key].append(stay)
        return dict(admission.headers)

    async def _headers(self, message: Message) -> dict[str, str]:
        return dict(self._coordinator.rates.headers_now(message["key"]))

    async def _inquire(self, message: Message) -> Any:
        return await self._coordinator.inquire(message["event"], message["body"], self)

    async def _tally(self, message: Message) -> list[Any]:
        return await self._coordinator.told(message["own"], self)

    async def _survey(self, message: Message) -> list[Any]:
        return await self._coordinator.survey(message["event"], self)

    def _deadline(self, message: Message) -> float | None:
        seconds: float | None = message["seconds"]
        return None if seconds is None else self._coordinator.clock() + seconds

    # ---- what is told

    def _cancel(self, message: Message) -> None:
        task = self._asked.get(message["of"])
        if task is not None:
            task.cancel()

    def _leave(self, message: Message) -> None:
        name = message["gate"]
        self._inside[name] -= 1
        if self._inside[name] < 1:
            del self._inside[name]
        self._coordinator.gates[name].give_back()
        self._coordinator.drop(name)

    def _resize(self, message: Message) -> None:
        gate = self._coordinator.gates.get(message["gate"])
        if gate is not None:
            gate.resize(message["limit"])

    def _change(self, message: Message) -> None:
        self._coordinator.pace(message["pace"], message["limit"], message["span"], message["queue"])

    def _depart(self, message: Message) -> None:
        self._stays[message["key"]].pop().end()

    def _follow(self, message: Message) -> None:
        self.follows[message["pace"]] += message["by"]
        self._coordinator.followed(message["pace"])

    def _tell(self, message: Message) -> None:
        event, body, key = message["event"], message["body"], message.get("key")
        if key is not None:
            if message["keep"]:
                self._coordinator.keep(event, key, body)
            else:
                self._coordinator.kept.pop((event, key), None)
        self._coordinator.tell(event, body, but=self)

    def _reply(self, message: Message) -> None:
        inquiry = self._inquiries.get(message["to"])
        if inquiry is not None and not inquiry.done():
            inquiry.set_result(message["value"])

    def _is_ready(self, _: Message) -> None:
        self.ready = True
        self._on_ready()


_ASKED: dict[str, Callable[[Desk, Message], Awaitable[Any]]] = {
    "enter": Desk._enter,
    "turn": Desk._turn,
    "admit": Desk._admit,
    "headers": Desk._headers,
    "inquire": Desk._inquire,
    "tally": Desk._tally,
    "survey": Desk._survey,
}
_TOLD: dict[str, Callable[[Desk, Message], None]] = {
    "cancel": Desk._cancel,
    "leave": Desk._leave,
    "resize": Desk._resize,
    "change": Desk._change,
    "depart": Desk._depart,
    "follow": Desk._follow,
    "tell": Desk._tell,
    "reply": Desk._reply,
    "ready": Desk._is_ready,
}
