"""One worker process: it listens at once, loads the model beside that, and on SIGTERM ends what it has begun."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn

from providers.flux_worker.worker.desk import Desk, Serving
from providers.flux_worker.worker.server import create_app
from providers.flux_worker.worker.work import Engine

log = logging.getLogger("imagegate.worker")

LAST_WORDS_SECONDS = 5
"""For answers that are on their way when all work has ended."""

HALT_SECONDS = 1
"""After a second signal: for the word that work was cancelled."""


class DeviceFailed(Exception):
    """Nothing works any more in this process, and a new one may work."""


@dataclass(frozen=True, slots=True)
class Ending:
    """On SIGTERM: seconds for which `/ready` says no before anything else happens, so that a balancer notices, and
    seconds that work under way may take."""

    unready_seconds: float = 0.0
    drain_seconds: float = 120.0


def serve(
    listener: socket.socket,
    serving: Serving,
    load: Callable[[], Engine],
    ending: Ending | None = None,
    ready: Callable[[Desk], None] | None = None,
) -> None:
    """Serve until told to end. Raises what `load` raises, and DeviceFailed. `ready` is called, in a thread, once the
    model is loaded."""
    desk = Desk(serving)
    server = _Server(desk, ending or Ending())
    loading = threading.Thread(target=server.load, args=(load, ready), name="load", daemon=True)
    server.loading = loading
    try:
        server.run(sockets=[listener])
    finally:  # uvicorn hands the signals that it took back when all has ended, and they may raise
        desk.codecs.close()
        still = (thread for thread in (loading, server.draining) if thread is not None and thread.is_alive())
        if server.failure is None and any(still):
            # Nothing can stop a library that loads weights or takes a step, and an interpreter that ends under it
            # crashes.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    if server.failure is not None:
        raise server.failure
    if desk.broken:
        raise DeviceFailed("the device failed; whoever started the worker may start it anew")


class _Server(uvicorn.Server):
    loading: threading.Thread

    def __init__(self, desk: Desk, ending: Ending) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(desk),
                interface="asgi3",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=LAST_WORDS_SECONDS,
            )
        )
        self._desk, self._ending = desk, ending
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.failure: Exception | None = None
        self.draining: threading.Thread | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.loading.start()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, by uvicorn."""
        if counter % 10 == 0 and self._desk.broken:
            self.should_exit = True
        return await super().on_tick(counter)

    def load(self, load: Callable[[], Engine], ready: Callable[[Desk], None] | None) -> None:
        try:
            self._desk.load(load)
        except Exception as trouble:
            self.failure = trouble
            self.should_exit = True
            return
        if ready is not None and not self._desk.draining:
            ready(self._desk)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or self._desk.draining:
            self._halt()
            super().handle_exit(sig, frame)
            return
        self._desk.draining = True
        self._loop.call_soon_threadsafe(self._leave, sig, frame)

    def _halt(self) -> None:
        """A second signal: whoever waits is told so, and no answer is waited for longer than that takes."""
        if self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._desk.halt)
        if self.should_exit:  # the last words are being waited for, and for how long is settled
            self._loop.call_soon_threadsafe(self._loop.call_later, HALT_SECONDS, setattr, self, "force_exit", True)
        else:
            self.config.timeout_graceful_shutdown = HALT_SECONDS

    def _leave(self, sig: int, frame: FrameType | None) -> None:
        self._leaving = asyncio.ensure_future(self._drained(sig, frame))

    async def _drained(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM:
            await asyncio.sleep(self._ending.unready_seconds)
        loop, drained = asyncio.get_running_loop(), asyncio.Event()

        def drain() -> None:
            self._desk.drain(self._ending.drain_seconds)
            with contextlib.suppress(RuntimeError):  # a second signal has ended the loop
                loop.call_soon_threadsafe(drained.set)

        # Not one of the loop's own threads: for those the loop waits, and a second signal is not to wait.
        self.draining = threading.Thread(target=drain, name="drain", daemon=True)
        self.draining.start()
        await drained.wait()
        super().handle_exit(sig, frame)
