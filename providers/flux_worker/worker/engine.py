"""The engine: one thread that owns the weights, and steps what is under way in batches that are put together anew for
every step."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from providers.flux_worker.worker.admission import Admission, Meter, is_fatal, is_out_of_memory
from providers.flux_worker.worker.families.family import Family, picture_of
from providers.flux_worker.worker.families.runs import Run
from providers.flux_worker.worker.pieces import Piece, next_batch, preview_steps
from providers.flux_worker.worker.work import (
    BadPicture,
    Busy,
    Cancelled,
    Listener,
    Made,
    Model,
    OutOfMemory,
    Progress,
    Refused,
    Standing,
    Work,
)

log = logging.getLogger("imagegate.worker.engine")

SECONDS_AT_FIRST = 10.0
"""What a piece of work is taken to need before one has ended."""

LAST_SECONDS = 60.0
"""For the step that is under way when a drain's time is over."""


@dataclass(frozen=True, slots=True)
class Limits:
    """batch_most: pictures that step together; under_way_most: that have memory of their own; waiting_most: beyond
    those."""

    batch_most: int
    under_way_most: int
    waiting_most: int

    @property
    def pieces_most(self) -> int:
        return self.under_way_most + self.waiting_most


class StepEngine:
    """Implements `work.Engine`. Takes work from any thread; everything else happens in its own."""

    def __init__(
        self, family: Family, model: Model, limits: Limits, meter: Meter, settle: Callable[[], None] = lambda: None
    ) -> None:
        """`settle` is called in the engine's own thread, before anything else is."""
        self._settle = settle
        self._family = family
        self._model = model
        self._limits = limits
        self._admission = Admission(limits.batch_most, meter)
        self._changed = threading.Condition()
        self._waiting: deque[Piece] = deque()
        self._running: list[Piece] = []
        self._turn = 0
        self._made = self._cancelled = self._failed = 0
        self._seconds: float | None = None
        self._ready = self._draining = False
        self._broken: Exception | None = None
        self._stops_at = math.inf
        self._warmed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="imagegate-worker-engine", daemon=True)

    # Any thread

    @property
    def model(self) -> Model:
        return self._model

    def start(self, sizes: Sequence[tuple[int, int]] = ()) -> None:
        """Begin, once these sizes were stepped and decoded. Raises what went wrong with them."""
        self._sizes = tuple(sizes)
        self._thread.start()
        self._warmed.wait()
        if self._broken is not None:
            raise self._broken

    def check(self, work: Work) -> None:
        self._family.check(work)

    def submit(self, works: Sequence[tuple[Work, Listener]]) -> Sequence[Piece]:
        if len(works) > self._limits.pieces_most:
            said = f"num_images is {len(works)}; at most {self._limits.pieces_most} are worked on at a time"
            raise Refused(said, "provider_options.image.num_images")
        for work, _ in works:
            self.check(work)
        with self._changed:
            if self._broken is not None:
                raise RuntimeError("the device failed; the worker must be started anew") from self._broken
            over = len(self._waiting) + len(self._running) + len(works) - self._limits.pieces_most
            if over > 0 or self._draining:
                raise Busy(self._expected(max(over, 1)))
            now, request = time.monotonic(), object()
            pieces = [Piece(work, listener, self._wake, now, request) for work, listener in works]
            self._waiting.extend(pieces)
            self._changed.notify_all()
        return pieces

    def standing(self) -> Standing:
        with self._changed:
            return Standing(
                ready=self._ready and not self._draining and self._broken is None,
                waiting=len(self._waiting),
                running=len(self._running),
                made=self._made,
                cancelled=self._cancelled,
                failed=self._failed,
                batch_most=self._admission.bound,
                memory_bytes=self._admission.meter.highest(),
                expected_seconds=SECONDS_AT_FIRST if self._seconds is None else self._seconds,
                broken=self._broken is not None,
            )

    def drain(self, seconds: float) -> None:
        with self._changed:
            self._draining = True
            self._stops_at = min(self._stops_at, time.monotonic() + seconds)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(max(0.0, seconds) + LAST_SECONDS)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _expected(self, over: int) -> float:
        """Seconds until so many pieces are through; as many as step together count as one."""
        each = SECONDS_AT_FIRST if self._seconds is None else self._seconds
        return max(1.0, math.ceil(over / self._admission.bound) * each)

    # The engine's own thread

    def _work(self) -> None:
        try:
            self._settle()
            self._warm()
        except Exception as error:
            self._broken = error
        self._ready = self._broken is None
        self._warmed.set()
        while self._broken is None and self._await_work():
            try:
                self._once()
            except Exception as error:
                self._lost(list(self._running), error)
        for piece in self._all():
            self._end(piece, Cancelled() if self._broken is None else self._broken)

    def _warm(self) -> None:
        """One as two where there may be more: what is compiled, chosen or measured by shape is so before anybody
        waits."""
        for width, height in self._sizes:
            work = self._family.warm_up_work(width, height)
            self.check(work)
            for count in (1, 2)[: self._limits.batch_most]:
                runs = [self._family.prepare(work) for _ in range(count)]
                self._measured(runs)
            self._pixels(runs[0], runs[0].latents)

    def _measured(self, runs: Sequence[Run]) -> list[bool]:
        key = self._family.key(runs[0])
        self._admission.meter.start()
        finite = self._family.step(runs)
        self._admission.stepped(key, len(runs))
        return finite

    def _await_work(self) -> bool:
        """Wait until there is something to do. False = there will be nothing more."""
        with self._changed:
            while not self._waiting and not self._running and not self._draining:
                self._changed.wait()
            if time.monotonic() >= self._stops_at:
                return False
            return bool(self._waiting or self._running)

    def _all(self) -> list[Piece]:
        with self._changed:
            return [*self._running, *self._waiting]

    def _once(self) -> None:
        """Drop who was cancelled, take in who fits, and step one batch."""
        for piece in self._all():
            if piece.cancelled:
                self._end(piece, Cancelled())
        self._take_in()
        batch = next_batch(self._running, self._family.key, self._admission.most)
        if batch:
            self._step(batch)

    def _take_in(self) -> None:
        """The pieces of one request: to encode prompts and pictures takes time, in which nobody steps."""
        request: object = None
        while len(self._running) < self._limits.under_way_most and self._broken is None:
            with self._changed:
                if not self._waiting or request not in (None, self._waiting[0].request):
                    return
                piece = self._waiting.popleft()
                self._running.append(piece)
                request = piece.request
            try:
                piece.run = self._family.prepare(piece.work)
                piece.previews = preview_steps(piece.run.steps, piece.work.previews)
            except Exception as error:
                self._lost([piece], error)

    def _step(self, batch: Sequence[Piece]) -> None:
        runs = [piece.run for piece in batch if piece.run is not None]
        now = time.monotonic()
        self._turn += 1
        for piece in batch:
            piece.started = piece.started or now
            piece.turn = self._turn
        try:
            finite = self._measured(runs)
        except Exception as error:
            self._lost(batch, error)
            return
        for piece, fine in zip(batch, finite, strict=True):
            if fine:
                self._advanced(piece)
            else:
                self._end(piece, BadPicture("the model came to numbers that are none"))

    def _advanced(self, piece: Piece) -> None:
        """After a step: tell of it, and of the picture after the last."""
        run = piece.run
        if run is None or piece.cancelled:
            return
        try:
            preview = self._pixels(run, run.clean) if run.index in piece.previews else None
            self._tell(lambda: piece.listener.progress(Progress(run.index, run.steps, preview)))
            if run.ended:
                picture, now = self._pixels(run, run.latents), time.monotonic()
                seconds = now - piece.started
                waited = piece.started - piece.submitted
                self._end(piece, Made(picture, run.steps, run.skipped, seconds, waited))
        except Exception as error:
            self._lost([piece], error)

    def _pixels(self, run: Run, latents: object) -> Image.Image:
        self._admission.meter.start()
        pixels = self._family.pixels(run, latents)
        self._admission.decoded()
        return picture_of(pixels)

    def _lost(self, pieces: Sequence[Piece], error: Exception) -> None:
        """What goes wrong with a batch ends that batch, and nothing else."""
        told = error
        if is_out_of_memory(error):
            told = OutOfMemory("the device's memory did not suffice; ask for fewer pixels or try again")
        elif is_fatal(error):
            self._broken = error
        if not isinstance(told, (Refused, BadPicture, OutOfMemory)):
            log.error("a batch of %d failed", len(pieces), exc_info=error)
        error.__traceback__ = None  # its frames hold the batch's tensors
        for piece in pieces:
            self._end(piece, told)
        if isinstance(told, OutOfMemory):
            self._family.embeddings.clear()
            self._admission.exhausted(len(pieces))

    def _end(self, piece: Piece, outcome: Made | Exception) -> None:
        with self._changed:
            if piece in self._running:
                self._running.remove(piece)
            else:
                self._waiting.remove(piece)
            piece.run = None
            if isinstance(outcome, Made):
                self._made += 1
                before = outcome.seconds if self._seconds is None else self._seconds
                self._seconds = 0.8 * before + 0.2 * outcome.seconds
            elif isinstance(outcome, Cancelled):
                self._cancelled += 1
            else:
                self._failed += 1
        self._tell(lambda: piece.listener.done(outcome))

    def _tell(self, say: Callable[[], None]) -> None:
        """Who is told may fail; the others must not notice."""
        try:
            say()
        except Exception:
            log.exception("whoever waits for a picture could not be told")
