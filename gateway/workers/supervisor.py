"""The parent of several workers: starts them on one socket, replaces those that die, counts for them, ends them.

It serves no request itself and holds no file of the state. A worker has two things from it: the socket that clients
connect to, which stays open as long as any worker is to come, and a connection to the coordinator, whose end tells
each that the other is gone.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import pickle
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.config.model import Settings
from gateway.config.reloading import taken_over
from gateway.workers.coordinator import Coordinator, Desk
from gateway.workers.shares import Part
from gateway.workers.wire import SETTINGS, STOP
from normalization.errors import ConfigurationError

log = logging.getLogger("imagegate.workers")

AGAIN_FIRST_SECONDS = 0.2
AGAIN_MOST_SECONDS = 30.0
"""Between a worker's death and its successor, when it lived shorter than STEADY_SECONDS: each time in a row twice as
long."""
STEADY_SECONDS = 60.0

READY_SECONDS = 120.0
"""How long a worker may take until it serves. One that takes longer hangs: it holds nothing yet, and is ended."""

ROOT = str(Path(__file__).resolve().parents[2])
# -P: the folder that the gateway happens to be started in is no place for code.
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from gateway.workers.process import main; sys.exit(main(int(sys.argv[2]), int(sys.argv[3])))"
)


@dataclass(frozen=True, slots=True)
class Handed:
    """What a worker is told at its start, through its standard input."""

    settings: Settings
    part: Part


@dataclass(frozen=True, slots=True)
class Hooks:
    """`ready` is called once all workers take requests, `read` when the configuration is to be read anew; it raises
    ConfigurationError. `reloaded` is told what came of that: None = all is well."""

    ready: Callable[[], None]
    read: Callable[[], Settings]
    reloaded: Callable[[str | None], None]


def supervise(settings: Settings, listener: socket.socket, workers: int, hooks: Hooks) -> int:
    """Serve with so many workers until told to stop. Returns the exit code: 0, or that of a first worker that could
    not even start, which has said why. The listener is closed then."""
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        return runner.run(Supervisor(settings, listener, workers, hooks).run())


def settings_text(settings: Settings) -> str:
    """Settings as text for a worker, secrets included; `settings_of_text` reads it."""
    return base64.b64encode(pickle.dumps(settings)).decode()


def settings_of_text(text: str) -> Settings:
    """Settings that the supervisor has sent. Nobody else holds the other end of the connection."""
    settings = pickle.loads(base64.b64decode(text))  # noqa: S301  (from our own parent)
    assert isinstance(settings, Settings)  # noqa: S101
    return settings


class Supervisor:
    """One gateway's workers."""

    def __init__(self, settings: Settings, listener: socket.socket, workers: int, hooks: Hooks) -> None:
        self._settings = settings
        self._listener = listener
        self._workers = workers
        self._hooks = hooks
        self._coordinator = Coordinator(settings.auth.keys)
        self._ready: set[int] = set()
        self._all_ready = False
        self._any_ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failed = 0
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """See `supervise`."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop, each)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        # The first prepares the data directory, and says it alone where that fails.
        workers = [asyncio.ensure_future(self._keep(0))]
        await self._first(workers[0])
        workers += [asyncio.ensure_future(self._keep(number)) for number in range(1, self._workers)]
        await asyncio.gather(*workers)
        return self._failed

    async def _first(self, worker: asyncio.Task[None]) -> None:
        ready = asyncio.ensure_future(self._any_ready.wait())
        await asyncio.wait({ready, worker}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def _keep(self, number: int) -> None:
        """Have one worker at work until the gateway stops."""
        wait = 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                code, hung = await self._work(number)
            except OSError as error:  # no process or no file more to be had now; the other workers go on
                log.error("worker %d cannot be started: %s", number + 1, error)
                code, hung = 1, False
            if self._stopping.is_set():
                return
            if not self._any_ready.is_set() and not hung:
                self._failed = code or 1
                self._stopping.set()
                self._listener.close()
                return
            steady = time.monotonic() - began > STEADY_SECONDS
            wait = AGAIN_FIRST_SECONDS if steady else min(AGAIN_MOST_SECONDS, max(AGAIN_FIRST_SECONDS, 2 * wait))
            log.error("worker %d %s; another one starts in %.1f s", number + 1, _ended(code), wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stopping.wait()

    async def _work(self, number: int) -> tuple[int, bool]:
        """One worker's life. Returns its exit code, negative for a signal, once all that it held is free again, and
        whether it had to be ended because it did not come to serve."""
        ours, theirs = socket.socketpair()
        ready = asyncio.Event()

        def is_ready() -> None:
            ready.set()
            self._is_ready(number)

        desk: Desk = self._coordinator.connect(is_ready)
        with theirs:
            await asyncio.get_running_loop().create_unix_connection(lambda: desk, sock=ours)
            process = await self._spawn(number, theirs)
        if process is None:
            desk.close()
            return 0, False
        # Beside it: a worker that hangs before it reads what is longer than a pipe is ended as any other.
        handing = asyncio.ensure_future(_hand(process, Handed(self._settings, Part(number, self._workers))))
        code, hung = await _watched(process, ready, number)
        await handing
        self._ready.discard(number)
        await desk.lost.wait()
        return code, hung

    async def _spawn(self, number: int, connection: socket.socket) -> Process | None:
        if self._stopping.is_set():
            return None
        files = (connection.fileno(), self._listener.fileno())
        command = [sys.executable, "-P", "-c", _PROGRAM, ROOT, *map(str, files)]
        # A session of its own: what is typed at the terminal is for the supervisor, which tells each worker once.
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, pass_fds=files, start_new_session=True)

    def _is_ready(self, number: int) -> None:
        self._any_ready.set()
        self._ready.add(number)
        if len(self._ready) == self._workers and not self._all_ready:
            self._all_ready = True
            self._hooks.ready()

    def _stop(self, number: signal.Signals) -> None:
        """Tell all workers, each time anew: a second time hurries them."""
        self._stopping.set()
        self._listener.close()  # each worker closes its own; who connects after the last is refused, not kept waiting
        self._coordinator.tell(STOP, int(number))

    def _hang_up(self) -> None:
        task = asyncio.ensure_future(self._reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self) -> None:
        async with self._reloading:
            before = self._settings
            try:
                read = taken_over(before, self._hooks.read())
            except ConfigurationError as error:
                self._hooks.reloaded(error.message)
                return
            self._take_over(read)  # a worker that starts meanwhile has it from its start
            text = settings_text(read)
            desks = tuple(self._coordinator.desks)
            said = await asyncio.gather(*(desk.inquire(SETTINGS, text) for desk in desks))
            refused = sorted({each for each in said if each})
            if refused:  # by all of them: what they would not run with, no later one could start with
                self._take_over(before)
            self._hooks.reloaded("\n".join(refused) or None)

    def _take_over(self, settings: Settings) -> None:
        self._settings = settings
        self._coordinator.rates.configure(settings.auth.keys)
        self._coordinator.kept.clear()  # what was wrong with a provider may have been mended


async def _hand(process: Process, handed: Handed) -> None:
    """Tell a worker what it needs at its start."""
    with contextlib.suppress(OSError):  # it is gone already, which is seen by waiting for it
        assert process.stdin is not None  # noqa: S101  (a pipe)
        process.stdin.write(pickle.dumps(handed))
        process.stdin.close()
        await process.stdin.wait_closed()


async def _watched(process: Process, ready: asyncio.Event, number: int) -> tuple[int, bool]:
    """The exit code of a process that has ended, and whether it was ended here, because it never became ready."""
    ended, serving = asyncio.ensure_future(process.wait()), asyncio.ensure_future(ready.wait())
    await asyncio.wait({ended, serving}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    hung = not ready.is_set() and not ended.done()
    if hung:
        log.error(
            "worker %d (process %d) does not come to serve within %g s, and is ended",
            number + 1,
            process.pid,
            READY_SECONDS,
        )
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return await ended, hung


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    return f"was ended by {signal.Signals(-code).name}"
