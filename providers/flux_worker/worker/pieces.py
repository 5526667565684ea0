"""A piece of work in the engine's line, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from providers.flux_worker.worker.families.runs import Run
from providers.flux_worker.worker.work import Listener, Work


@dataclass(eq=False, slots=True)
class Piece:
    """Work, who is told of it, and how far it is. The engine's thread alone changes it, but for `cancelled`."""

    work: Work
    listener: Listener
    wake: Callable[[], None]
    submitted: float
    request: object
    """The same for all that were sent together."""
    run: Run | None = None
    started: float = 0.0
    turn: int = -1
    """The engine's last step that it was part of."""
    cancelled: bool = False
    previews: frozenset[int] = field(default_factory=frozenset)
    """After which steps somebody wants to see it."""

    def cancel(self) -> None:
        """Nobody waits any more: it is dropped within one step."""
        self.cancelled = True
        self.wake()


def preview_steps(steps: int, wanted: int) -> frozenset[int]:
    """`wanted` steps spread evenly over those before the last, which is the picture itself; all, where there are
    fewer."""
    many = min(wanted, steps - 1)
    return frozenset(round(place * steps / (many + 1)) for place in range(1, many + 1))


def next_batch(
    running: Sequence[Piece], key: Callable[[Run], Hashable], most: Callable[[Hashable], int]
) -> list[Piece]:
    """Who steps now: the piece whose last step is the longest ago, and as many of its key as fit, again those first
    that waited longest; among equals, who came first. So shapes alternate, those that came together end together, and a
    short piece passes a long one."""
    pairs = [(piece, piece.run) for piece in sorted(running, key=lambda each: each.turn) if piece.run is not None]
    if not pairs:
        return []
    chosen = key(pairs[0][1])
    return [piece for piece, run in pairs if key(run) == chosen][: most(chosen)]
