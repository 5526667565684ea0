"""The codec pool: a few child processes that decode and encode pictures, so that a hostile one takes only itself down.

Children start when first needed, end when idle, and are replaced when they die, hang or have worked enough. What is
let in at once is bounded by pixels, in the order in which it came.
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.services.codec_child import Child, ChildDied
from gateway.services.codec_errors import (
    CodecBroken,
    CodecCrashed,
    CodecError,
    CodecsBusy,
    CodecsClosed,
    CodecTimeout,
    value,
)
from gateway.services.codec_frames import Answer, Job
from gateway.services.codec_process import allowed
from gateway.services.codec_settings import PoolSettings
from normalization.pictures.finish import Finished, FinishOptions, needs_decoding, pass_through
from normalization.pictures.inspect import inspect
from normalization.plan import Finish

__all__ = [
    "CodecBroken",
    "CodecCrashed",
    "CodecError",
    "CodecPool",
    "CodecTimeout",
    "CodecsBusy",
    "CodecsClosed",
    "PoolSettings",
]

FINISH = "normalization.pictures.finish:finish"

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Turn:
    """A job's place in the queue; `called` is done when it may run."""

    pixels: int
    called: asyncio.Future[None]
    let_in: bool = False


class CodecPool:
    """Runs pure functions on pictures in child processes. Belongs to the event loop in which it is first used."""

    def __init__(self, settings: PoolSettings | None = None) -> None:
        self.settings = settings or PoolSettings()
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        self._busy: set[Child] = set()
        self._work: set[asyncio.Future[Any]] = set()
        self._queue: deque[_Turn] = deque()
        self._running = 0
        self._pixels = 0
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None

    @property
    def queued(self) -> int:
        """Jobs that wait for a process or for pixels to be done."""
        return len(self._queue)

    @property
    def pids(self) -> frozenset[int]:
        """The processes that are alive."""
        return frozenset(child.pid for child in (*self._idle, *self._busy))

    async def finish(
        self, data: bytes, finish: Finish, options: FinishOptions, *, deadline: float | None = None
    ) -> Finished:
        """`normalization.pictures.finish.finish`: at once and here where the picture passes through, else in a child.
        Errors are its own and those of `run`."""
        header = inspect(data, options.limits)
        if not needs_decoding(header, finish) and options.thumbnail is None:
            return pass_through(data, header, keep_manifest=options.keep_manifest)
        target = 0 if finish.fit is None else finish.fit.pixels
        arguments = {"data": data, "finish": finish, "options": options}
        done = await self.run(FINISH, arguments, pixels=max(header.stored.pixels, target), deadline=deadline)
        if not isinstance(done, Finished):
            raise CodecBroken(f"{FINISH} gave {type(done).__name__}")
        return done

    async def run(
        self, function: str, arguments: Mapping[str, Any], *, pixels: int, deadline: float | None = None
    ) -> Any:
        """What `function` ("module:name", within `settings.modules`) gives for these keywords.

        `pixels` is the size of the work, the larger of what goes in and what comes out. `deadline` is the event
        loop's time by which the answer is of use, waiting included. The answer is bytes, numbers, strings, `Finished`,
        `Header`, `Picture`, `Size`, `Format` or lists of them.

        Raises `BadPicture` as the function does, `CodecTimeout` and `CodecCrashed` (both are `BadPicture` too),
        `CodecBroken`, `CodecsBusy` or `CodecsClosed` (all are `CodecError`), `TimeoutError` when the deadline passes,
        and `ValueError` for a function that is not allowed. Who cancels the caller only stops waiting: the job ends
        by itself within its time.
        """
        if not allowed(function, self.settings.modules):
            raise ValueError(f"{function} is not a codec function; they lie in {', '.join(self.settings.modules)}")
        if deadline is not None and deadline <= asyncio.get_running_loop().time():
            raise TimeoutError("the deadline passed before the picture was worked on")
        await self._turn(pixels, deadline)
        job = Job(function, arguments, pixels, self.settings.seconds_most, self.settings.memory(pixels))
        return await asyncio.shield(self._keep(asyncio.ensure_future(self._perform(job, deadline))))

    async def close(self) -> None:
        """Refuses what waits, kills what runs, lets idle children go; afterwards none of them is left."""
        self._closed = True
        while self._queue:
            turn = self._queue.popleft()
            if not turn.called.done():
                turn.called.set_exception(CodecsClosed("the codec pool is closing"))
        for child in self._busy:
            child.kill()
        for child in list(self._idle):
            self._dismiss(child)
        while self._work:
            await asyncio.wait(self._work)
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _turn(self, pixels: int, deadline: float | None) -> None:
        """Waits until the job may run; it is then counted as running."""
        if self._closed:
            raise CodecsClosed("the codec pool is closed")
        turn = _Turn(pixels, asyncio.get_running_loop().create_future())
        self._queue.append(turn)
        self._call()
        most = self.settings.queue_most
        if most is not None and len(self._queue) > most:
            self._queue.remove(turn)
            raise CodecsBusy(f"{most} pictures wait for a codec process, the most that may")
        try:
            async with asyncio.timeout_at(deadline):
                await turn.called
        except (asyncio.CancelledError, TimeoutError):
            if turn.let_in:
                self._release(pixels)
            elif turn in self._queue:
                self._queue.remove(turn)
                self._call()
            raise

    def _call(self) -> None:
        """Lets in from the head of the queue what there is room for. A large job that has to wait holds up those
        behind it, or small ones would keep it out for ever."""
        while self._queue and self._has_room(self._queue[0].pixels):
            turn = self._queue.popleft()
            if not turn.called.done():
                turn.let_in = True
                self._running += 1
                self._pixels += turn.pixels
                turn.called.set_result(None)

    def _has_room(self, pixels: int) -> bool:
        if not self._running:
            return True
        return self._running < self.settings.workers and self._pixels + pixels <= self.settings.pixels_most

    def _release(self, pixels: int) -> None:
        self._running -= 1
        self._pixels -= pixels
        self._call()

    async def _perform(self, job: Job, deadline: float | None) -> Any:
        try:
            child = await self._child()
            self._busy.add(child)
            try:
                answer = await self._answer(child, job, deadline)
            finally:
                self._busy.discard(child)
        finally:
            self._release(job.pixels)
        return value(answer)

    async def _child(self) -> Child:
        """An idle child that still lives, the last used first so that the others may end; or a new one."""
        while self._idle:
            child, timer = self._idle.popitem()
            timer.cancel()
            if child.alive:
                return child
            self._end(child)
        try:
            child = await self._in_thread(Child, self.settings.modules)
        except OSError as error:
            raise CodecBroken(f"no codec process can be started: {error}") from error
        if self._closed:
            self._end(child)
            raise CodecsClosed("the codec pool is closed")
        return child

    async def _answer(self, child: Child, job: Job, deadline: float | None) -> Answer:
        """The child's answer. A child that is late is killed; one that answered goes back to rest."""
        most = self.settings.wall_seconds_most
        seconds = most if deadline is None else min(most, deadline - asyncio.get_running_loop().time())
        work = self._in_thread(child.exchange, job)
        try:
            done, _ = await asyncio.wait({work}, timeout=seconds)
        except asyncio.CancelledError:
            child.kill()
            self._keep(work)
            raise
        if not done:
            child.kill()
            await asyncio.wait({work})
        try:
            answer = work.result()
        except ChildDied as death:
            raise self._cause(death, late=not done, hurried=seconds < most) from death
        except BaseException:
            self._rest(child)  # the arguments could not be written down: the child never heard of them
            raise
        if done:
            self._rest(child)
        else:
            self._end(child)
        return answer

    def _cause(self, death: ChildDied, *, late: bool, hurried: bool) -> Exception:
        """Why a child that was at work is dead, as the caller's error."""
        if self._closed:
            return CodecsClosed("the codec pool was closed")
        if late and hurried:
            return TimeoutError("the deadline passed while the picture was worked on")
        if late or death.status == -signal.SIGPROF:
            most = f"{self.settings.seconds_most:g} seconds of work, the most that a picture may take"
            return CodecTimeout("unreadable", f"the picture took more than {most}")
        if death.status >= 0:
            return CodecBroken(str(death))
        return CodecCrashed("unreadable", "the picture cannot be read: its decoder or encoder failed")

    def _rest(self, child: Child) -> None:
        """Keeps the child for the next job, for a while, unless it has done its share."""
        if self._closed or child.jobs >= self.settings.jobs_most:
            self._end(child)
            return
        loop = asyncio.get_running_loop()
        self._idle[child] = loop.call_later(self.settings.idle_seconds, self._dismiss, child)

    def _dismiss(self, child: Child) -> None:
        self._idle.pop(child).cancel()
        self._end(child)

    def _end(self, child: Child) -> None:
        self._keep(asyncio.ensure_future(self._in_thread(child.end)))

    def _in_thread(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2 * self.settings.workers, thread_name_prefix="codec")
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _keep(self, work: asyncio.Future[T]) -> asyncio.Future[T]:
        """Holds on to work that nobody may be waiting for until it is done."""
        self._work.add(work)
        work.add_done_callback(self._drop)
        return work

    def _drop(self, work: asyncio.Future[Any]) -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # looked at, or asyncio would report it as forgotten where the caller was cancelled
