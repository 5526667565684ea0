"""The codec pool: a few child processes that decode and encode pictures, so that a hostile one takes only itself down.

Children start when first needed, end when idle, and are replaced when they die, hang or have worked enough. What is
let in at once is bounded by pixels, in the order in which it came.
"""

from __future__ import annotations

import asyncio
import signal
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
from gateway.services.codec_frames import Answer, Job, Sink
from gateway.services.codec_process import allowed
from gateway.services.codec_settings import PoolSettings
from gateway.services.codec_turns import Turns
from normalization.pictures.finish import Finished, FinishOptions, needs_decoding, pass_through
from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import Limits
from normalization.plan import Finish
from normalization.vocabulary import Content, Format, Size

__all__ = [
    "CodecBroken",
    "CodecCrashed",
    "CodecError",
    "CodecPool",
    "CodecTimeout",
    "CodecsBusy",
    "CodecsClosed",
    "PoolSettings",
    "Taken",
]

FINISH = "normalization.pictures.finish:finish"
INTAKE = "normalization.pictures.intake:intake_unless_kept"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """A client's picture, made fit for providers. `size` is as seen, in pixels. `kept`: its bytes are those it came
    with."""

    format: Format
    size: Size
    kept: bool


class CodecPool:
    """Runs pure functions on pictures in child processes. Belongs to the event loop in which it is first used."""

    def __init__(self, settings: PoolSettings | None = None) -> None:
        self.settings = settings or PoolSettings()
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        self._busy: set[Child] = set()
        self._work: set[asyncio.Future[Any]] = set()
        self._turns = Turns(self.settings)
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None
        self._inspecting = asyncio.Lock()

    @property
    def queued(self) -> int:
        """Jobs that wait for a process or for pixels to be done."""
        return len(self._turns)

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
        if not needs_decoding(header, finish) and finish.thumbnail is None:
            return pass_through(data, header, keep_manifest=options.keep_manifest)
        pixels = max(header.stored.pixels, 0 if finish.fit is None else finish.fit.pixels)
        if finish.composite is not None:
            pixels += finish.composite.original.size.pixels
        arguments = {"data": data, "finish": finish, "options": options}
        return _finished(FINISH, await self.run(FINISH, arguments, pixels=pixels, deadline=deadline))

    async def intake(
        self, content: Content, *, mask: bool, limits: Limits, sink: Sink, deadline: float | None = None
    ) -> Taken:
        """`normalization.pictures.intake.intake`, in a child; what is no picture or too large never comes to one.

        `content` is read and `sink` called in threads, in slices; what was given to `sink` is a picture only when
        this returns. One that is `kept` is `content` itself: nothing is given to `sink`. Who cancels the caller only
        stops waiting: both may be used until the job ends by itself. Errors are those of `run`, and what `content` and
        `sink` raise.
        """
        if self._closed:
            raise CodecsClosed("the codec pool is closed")
        # One at a time, since headers may lie anywhere and so the whole file is held for them.
        async with asyncio.timeout_at(deadline), self._inspecting:
            header = await self._in_thread(_inspected, content, limits)
        arguments = {"content": content, "limits": limits, "mask": mask}
        pixels = header.stored.pixels
        counted = _Counted(sink)
        done = _finished(INTAKE, await self.run(INTAKE, arguments, pixels=pixels, deadline=deadline, sink=counted.take))
        return Taken(done.format, done.size, kept=not counted.length)

    async def run(
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        pixels: int,
        deadline: float | None = None,
        sink: Sink | None = None,
    ) -> Any:
        """What `function` ("module:name", within `settings.modules`) gives for these keywords.

        `pixels` is the size of the work, the larger of what goes in and what comes out. `deadline` is the event
        loop's time by which the answer is of use, waiting included. The answer is bytes, numbers, strings, `Finished`,
        `Header`, `Size`, `Format` or lists of them; with a `sink` its bytes go there, from a thread and in slices.
        Content among the arguments is read in a thread, once the job's turn has come.

        Raises `BadPicture` as the function does, `CodecTimeout` and `CodecCrashed` (both are `BadPicture` too),
        `CodecBroken`, `CodecsBusy` or `CodecsClosed` (all are `CodecError`), `TimeoutError` when the deadline passes,
        `ValueError` for a function that is not allowed, and what content and sink raise. Who cancels the caller only
        stops waiting: the job ends by itself within its time.
        """
        if not allowed(function, self.settings.modules):
            raise ValueError(f"{function} is not a codec function; they lie in {', '.join(self.settings.modules)}")
        if deadline is not None and deadline <= asyncio.get_running_loop().time():
            raise TimeoutError("the deadline passed before the picture was worked on")
        if self._closed:
            raise CodecsClosed("the codec pool is closed")
        await self._turns.wait(pixels, deadline)
        job = Job(function, arguments, pixels, self.settings.seconds_most, self.settings.memory(pixels))
        return await asyncio.shield(self._keep(asyncio.ensure_future(self._perform(job, deadline, sink))))

    async def close(self) -> None:
        """Refuses what waits, kills what runs, lets idle children go; afterwards none of them is left."""
        self._closed = True
        self._turns.refuse()
        for child in self._busy:
            child.kill()
        for child in list(self._idle):
            self._dismiss(child)
        while self._work:
            await asyncio.wait(self._work)
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _perform(self, job: Job, deadline: float | None, sink: Sink | None) -> Any:
        try:
            child = await self._child()
            self._busy.add(child)
            try:
                answer = await self._answer(child, job, deadline, sink)
            finally:
                self._busy.discard(child)
        finally:
            self._turns.release(job.pixels)
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

    async def _answer(self, child: Child, job: Job, deadline: float | None, sink: Sink | None) -> Answer:
        """The child's answer. A child that is late is killed; one that answered goes back to rest."""
        most = self.settings.wall_seconds_most
        seconds = most if deadline is None else min(most, deadline - asyncio.get_running_loop().time())
        work = self._in_thread(child.exchange, job, sink)
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
            self._rest(child)  # what the job reads from or writes to failed, which is not the child's fault
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
        """Keeps the child for the next job, for a while, unless it has done its share or heard only half of one."""
        if self._closed or not child.ready or child.jobs >= self.settings.jobs_most:
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


class _Counted:
    """A sink, and how many bytes it was given."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.length = 0

    def take(self, data: bytes) -> None:
        self.length += len(data)
        self._sink(data)


def _inspected(content: Content, limits: Limits) -> Header:
    limits.weigh(content.length)
    return inspect(content.read(), limits)


def _finished(function: str, done: Any) -> Finished:
    if not isinstance(done, Finished):
        raise CodecBroken(f"{function} gave {type(done).__name__}")
    return done
