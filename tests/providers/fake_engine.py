"""An engine without weights: pictures of one colour, drawn from the seed, in as many steps as were asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from providers.flux_worker.worker.work import (
    Busy,
    Cancelled,
    Handle,
    Listener,
    Made,
    Model,
    Progress,
    Refused,
    Standing,
    Work,
)

KLEIN = Model(
    id="black-forest-labs/FLUX.2-klein-4B",
    family="flux2",
    modes=frozenset({"generate", "edit", "img2img", "inpaint"}),
    default_steps=4,
    default_guidance=1.0,
    default_size=(256, 256),
    references_most=4,
    guided=False,
    negative=False,
    sizes=((256, 256),),
)

PROMPT_MOST = 200
"""Characters that stand for what a text encoder reads."""


def colour(seed: int) -> tuple[int, int, int]:
    return (seed % 251, seed // 251 % 251, 128)


@dataclass(slots=True, eq=False)
class Piece(Handle):
    work: Work
    listener: Listener
    step: int = 0
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(eq=False)
class FakeEngine:
    """Steps one after another while `going` is set. `fails`: what the next pieces come to instead of
    pictures; after each it stands still."""

    model: Model = KLEIN
    queue: int = 8
    going: threading.Event = field(default_factory=threading.Event)
    fails: list[Exception] = field(default_factory=list)
    seen: list[Work] = field(default_factory=list)
    ready: bool = True
    broken: bool = False

    def __post_init__(self) -> None:
        self.going.set()
        self._pieces: list[Piece] = []
        self._changed = threading.Condition()
        self._ended = False
        self.made = self.cancelled = self.failed = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def check(self, work: Work) -> None:
        if len(work.prompt) > PROMPT_MOST:
            raise Refused(f"Prompt is too long: {len(work.prompt)} tokens; the model reads {PROMPT_MOST}", "input")
        if work.mode not in self.model.modes:
            raise Refused(f"this model cannot {work.mode}", "imagegate.mode")

    def submit(self, works: Sequence[tuple[Work, Listener]]) -> Sequence[Handle]:
        with self._changed:
            if len(self._pieces) + len(works) > self.queue or self._ended:
                raise Busy(7.0)
            pieces = [Piece(work, listener) for work, listener in works]
            self._pieces += pieces
            self.seen += [work for work, _ in works]
            self._changed.notify_all()
        return pieces

    def standing(self) -> Standing:
        with self._changed:
            running = len(self._pieces)
        return Standing(self.ready, 0, running, self.made, self.cancelled, self.failed, 4, 0, 0.1, self.broken)

    def drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: not self._pieces, timeout=max(0.0, until - time.monotonic()))
            self._ended = True
            self._changed.notify_all()
        self._thread.join(10)

    def idle(self) -> None:
        """Return once nothing is left."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._pieces, timeout=20)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._ended)
                if self._ended:
                    for piece in self._pieces:
                        piece.listener.done(Cancelled())
                    self._pieces.clear()
                    self._changed.notify_all()
                    return
                pieces = tuple(self._pieces)
            gone = [piece for piece in pieces if self._stepped(piece)]
            with self._changed:
                self._pieces = [piece for piece in self._pieces if piece not in gone]
                self._changed.notify_all()

    def _stepped(self, piece: Piece) -> bool:
        """Take one step of it; whether that was its last."""
        if not self.going.wait(0.01) and not piece.cancelled:
            return False
        if piece.cancelled:
            self.cancelled += 1
            piece.listener.done(Cancelled())
            return True
        if self.fails:
            self.failed += 1
            self.going.clear()
            piece.listener.done(self.fails.pop(0))
            return True
        work = piece.work
        piece.step += 1
        picture = Image.new("RGB", (work.width, work.height), colour(work.seed))
        previewed = piece.step <= work.previews and piece.step < work.steps
        piece.listener.progress(Progress(piece.step, work.steps, picture if previewed else None))
        if piece.step < work.steps:
            return False
        self.made += 1
        piece.listener.done(Made(picture, work.steps, 0, 0.01, 0.0))
        return True
