"""What replicas tell each other without counting it in one place: how providers fare, wrong keys, notices, looks.

Each has its own, as a single process has, and learns what the others learn, a moment later. What is told while a
replica is cut off is lost to it; it knows what it sees itself.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from typing import Any

from gateway.services.breakers import Breaking, Circuits, Sign
from gateway.services.guesses import Guesses
from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.replica import Replica
from gateway.services.redis.wire import Command
from gateway.services.wakes import Wakes

KEPT_MOST = 256
"""News of a provider's health that are kept for replicas to come."""
KEPT_SECONDS = 600

Spread = Callable[[str, Any], None]
"""Have all other replicas hear an event and its body."""


class RedisCircuits(Circuits):
    """One provider's circuits, which learn from the calls of all replicas. Each replica probes for itself."""

    def __init__(self, connection: RedisConnection, provider: str, breaking: Breaking, spread: Spread) -> None:
        super().__init__(breaking)
        self._connection = connection
        self._provider = provider
        self._spread = spread
        self._name = f"health:{provider}"
        self._troubled: set[str] = set()
        """Models of which replicas to come are to hear."""

    def record(self, model: str, sign: Sign | None, *, began: float, outcome: str) -> None:
        super().record(model, sign, began=began, outcome=outcome)
        if sign is not None:
            self._say([model, sign.value, began + self._connection.offset, outcome])

    def proven(self, model: str) -> None:
        super().proven(model)
        self._say([model, None, time.monotonic() + self._connection.offset, ""])

    def hear(self, news: list[Any]) -> None:
        """What another replica has recorded; without a sign, that a model was proven."""
        model, word, began, outcome = news
        self._trouble(model, word)
        if word is not None:
            super().record(model, Sign(word), began=began - self._connection.offset, outcome=outcome)
        elif self.state(model) != "closed":
            super().proven(model)

    async def learn(self) -> None:
        """Hear what was kept, of each model since it last was well. Raises StateUnavailable."""
        kept = await self._connection.command("LRANGE", self._connection.key(self._name), 0, KEPT_MOST - 1)
        oldest, over, due = self._connection.now() - KEPT_SECONDS, set[str](), []
        for sealed in kept:  # the newest first
            news = self._connection.seal.open(self._name, sealed, news_of)
            if news is None or news[2] <= oldest or news[0] in over:
                continue
            if news[1] in (None, Sign.WELL.value):
                over.add(news[0])
            else:
                due.append(news)
        for news in reversed(due):
            self.hear(news)

    def _say(self, news: list[Any]) -> None:
        self._spread("health", [self._provider, *news])
        model, word = news[:2]
        worth_keeping = model in self._troubled or word != Sign.WELL.value
        self._trouble(model, word)
        if worth_keeping:
            key, sealed = self._connection.key(self._name), self._connection.seal.close(self._name, news)
            self._connection.send(
                [("LPUSH", key, sealed), ("LTRIM", key, 0, KEPT_MOST - 1), ("EXPIRE", key, KEPT_SECONDS)]
            )

    def _trouble(self, model: str, word: str | None) -> None:
        if word == Sign.WELL.value:
            self._troubled.discard(model)
        else:
            self._troubled.add(model)


def news_of(value: Any) -> list[Any]:
    """News of a provider's model as they were told. Raises ValueError or TypeError for anything else."""
    model, word, began, outcome = value
    if not isinstance(model, str) or not isinstance(outcome, str) or not isinstance(began, int | float):
        raise TypeError("not news of a provider's health")
    return [model, None if word is None else Sign(word).value, float(began), outcome]


class RedisGuesses(Guesses):
    """Wrong keys, and addresses that had a right one, are known to all replicas. A right key's digest is told under a
    second key, so that nobody who listens to Redis can try keys against it."""

    def __init__(self, most: int, most_in_all: int, secret: bytes, spread: Spread) -> None:
        super().__init__(most, most_in_all)
        self._secret = hmac.digest(secret, b"imagegate: right keys, version 1", "sha256")
        self._spread = spread

    def check(self, address: str, digest: str) -> None:
        if address in self._wrong:
            super().check(address, self._veiled(digest))

    def failed(self, address: str) -> None:
        super().failed(address)
        self._spread("guess", [address, None])

    def proved(self, address: str, digest: str) -> None:
        veiled = self._veiled(digest)
        if (address, veiled) not in self._right:
            self._spread("guess", [address, veiled])
        super().proved(address, veiled)

    def hear(self, body: list[Any]) -> None:
        address, veiled = body
        if veiled is None:
            super().failed(address)
        else:
            super().proved(address, veiled)

    def _veiled(self, digest: str) -> str:
        return hmac.digest(self._secret, digest.encode(), "sha256")[:16].hex()


class RedisWakes(Wakes):
    """A notice wakes whoever waits for the job, in whichever replica."""

    def __init__(self, spread: Spread) -> None:
        super().__init__()
        self._spread = spread

    def ring(self, provider: str, job: str) -> None:
        super().ring(provider, job)
        self._spread("ring", [provider, job])

    def hear(self, body: list[Any]) -> None:
        provider, job = body
        super().ring(provider, job)


class Follows:
    """How many jobs each replica looks at, by provider; told whenever it changes, and from time to time."""

    def __init__(self, replica: Replica, spread: Spread, changed: Callable[[str, int], None]) -> None:
        self._replica = replica
        self._spread = spread
        self._changed = changed
        self._own: dict[str, int] = {}
        self._others: dict[str, dict[str, tuple[int, float]]] = {}

    def tell(self, provider: str, jobs: int) -> None:
        """So many are looked at here."""
        self._own[provider] = jobs
        self._spread("follow", [self._replica.base, provider, jobs])

    def hear(self, body: list[Any]) -> None:
        base, provider, jobs = body
        self._others.setdefault(provider, {})[base] = int(jobs), time.monotonic()
        self._count(provider)

    def all_told(self) -> None:
        """Tell everything again, for those that are new or were cut off."""
        for provider, jobs in self._own.items():
            if jobs:
                self._spread("follow", [self._replica.base, provider, jobs])

    def lost(self) -> None:
        self._others.clear()
        for provider in self._own:
            self._changed(provider, 0)

    def back(self, before: str) -> Iterable[Command]:
        self.all_told()
        return ()

    def beat(self) -> Iterable[Command]:
        self.all_told()
        for provider in self._others:
            self._count(provider)
        return ()

    def _count(self, provider: str) -> None:
        oldest = time.monotonic() - self._replica.lease
        told = self._others[provider]
        for base in [base for base, (_, at) in told.items() if at < oldest]:
            del told[base]
        self._changed(provider, sum(jobs for jobs, _ in told.values()))
