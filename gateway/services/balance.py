"""Which of a provider's addresses is next: the one with the least under way, of those that take work."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

RESTS_SECONDS = 5.0
"""How long an address that broke off gets nothing, unless a look finds it well before."""


@dataclass(slots=True)
class _Address:
    under_way: int = 0
    last: int = 0
    ready: bool = True
    rests_until: float = 0.0


@dataclass(slots=True)
class Balance:
    """What this process knows of a provider's addresses. An address of which nothing is known takes work."""

    clock: Callable[[], float] = time.monotonic
    spread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By configured address: the addresses behind its name, where each is reached on its own."""
    _addresses: dict[str, _Address] = field(default_factory=dict)
    _turn: int = 0

    def expand(self, configured: Sequence[str]) -> list[str]:
        """Every address that there is to choose from."""
        return [each for name in configured for each in self.spread.get(name, (name,))]

    def choose(self, configured: Sequence[str]) -> tuple[str, str]:
        """The address for the next submission, and the configured one that it stands for. Of equals, the one whose
        last turn is longest ago; where none takes work, the same among all."""
        pairs = [(each, name) for name in configured for each in self.spread.get(name, (name,))]
        found = min(pairs, key=lambda pair: self._rank(self._of(pair[0])))
        self._turn += 1
        self._of(found[0]).last = self._turn
        return found

    @contextlib.contextmanager
    def at(self, address: str) -> Iterator[None]:
        """A submission is under way there."""
        known = self._of(address)
        known.under_way += 1
        try:
            yield
        finally:
            known.under_way -= 1

    def rest(self, address: str, seconds: float = RESTS_SECONDS) -> None:
        """It gets nothing for so long where another takes work."""
        known = self._of(address)
        known.rests_until = max(known.rests_until, self.clock() + seconds)

    def told(self, address: str, *, ready: bool) -> bool:
        """What a look found; whether that is news."""
        known = self._of(address)
        news = known.ready != ready
        known.ready = ready
        return news

    def takes_work(self, address: str) -> bool:
        known = self._of(address)
        return known.ready and self.clock() >= known.rests_until

    def elsewhere(self, configured: Sequence[str]) -> bool:
        """Whether some address takes work, of several."""
        addresses = self.expand(configured)
        return len(addresses) > 1 and any(self.takes_work(address) for address in addresses)

    def keep(self, configured: Sequence[str]) -> None:
        """Forget addresses that there are no more."""
        kept = {*self.expand(configured), *configured}
        for address in [each for each, known in self._addresses.items() if each not in kept and not known.under_way]:
            del self._addresses[address]

    def _of(self, address: str) -> _Address:
        return self._addresses.setdefault(address, _Address())

    def _rank(self, known: _Address) -> tuple[bool, int, int]:
        resting = not known.ready or self.clock() < known.rests_until
        return resting, known.under_way, known.last
