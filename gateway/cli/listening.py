"""uvicorn, set up for this gateway: what it says, what it leaves to us, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config.model import Limits, Settings
from gateway.jobs import Jobs
from gateway.serving.server import config_for
from normalization.errors import ImagegateError

LAST_WORDS_SECONDS = 15
"""For the answers to those whose work did not end in time."""


class Watched:
    """The application, remembering why its start failed, so that an expected reason is told in one line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.failure: ImagegateError | OSError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starlette sends the traceback first and raises then: hold the one until the other tells whether it is due."""
        held: list[Message] = []

        async def send_unless_failed(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                held.append(message)
            else:
                await send(message)

        try:
            await self.app(scope, receive, send_unless_failed)
        except (ImagegateError, OSError) as error:
            if not held:
                raise
            self.failure = error
            await send({"type": "lifespan.startup.failed"})
        except BaseException:
            for message in held:
                await send(message)
            raise


class Server(uvicorn.Server):
    """Calls `ready` once requests are accepted, `reload` on SIGHUP.

    On SIGTERM it first takes no new work: `/readyz` and generations answer 503 for `drain_unready_seconds`, so that a
    load balancer notices; then it closes the door and lets the rest end, for at most `drain_seconds`. Ctrl-C closes the
    door at once.
    """

    def __init__(self, config: uvicorn.Config, jobs: Jobs, hooks: Hooks, limits: Limits) -> None:
        super().__init__(config)
        self._jobs = jobs
        self._hooks = hooks
        self._limits = limits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            self._loop.add_signal_handler(signal.SIGHUP, self._hooks.reload)
        self._hooks.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or self._jobs.draining:
            super().handle_exit(sig, frame)
            return
        self._jobs.draining = True
        self._loop.call_soon_threadsafe(self._leave, sig, frame)

    def _leave(self, sig: int, frame: FrameType | None) -> None:
        self._leaving = asyncio.ensure_future(self._drained(sig, frame))

    async def _drained(self, sig: int, frame: FrameType | None) -> None:
        limits = self._limits
        if sig == signal.SIGTERM:
            await asyncio.sleep(limits.drain_unready_seconds)
        super().handle_exit(sig, frame)
        # Whoever still waits at the end hears from us that we go; the server alone would say that something broke.
        await self._jobs.drain(limits.drain_seconds)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the server calls: `ready` once requests are accepted, `reload` when the configuration is to be read anew."""

    ready: Callable[[], None]
    reload: Callable[[], None]


def server(app: ASGIApp, settings: Settings, jobs: Jobs, hooks: Hooks) -> Server:
    """A server for one process. Its own words go to the `uvicorn.error` logger, which is left as it is configured."""
    # It says that the start failed and nothing more; `Watched` knows why.
    logging.getLogger("uvicorn.error").addFilter(_says_something)
    config = config_for(app, settings)
    config.timeout_graceful_shutdown = math.ceil(settings.limits.drain_seconds) + LAST_WORDS_SECONDS
    return Server(config, jobs, hooks, settings.limits)


def _says_something(record: logging.LogRecord) -> bool:
    return record.msg != "Application startup failed. Exiting."
