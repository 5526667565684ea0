"""uvicorn, set up for this gateway: what it says, what it leaves to us, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config.model import Settings
from gateway.jobs import Jobs
from gateway.serving.server import config_for
from normalization.errors import ImagegateError


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

    On SIGTERM it first takes no new work: `/readyz` and generations answer 503 while work is under way, for at most
    `unready_seconds`, so that a load balancer notices; then it closes the door and lets the rest end.
    """

    def __init__(self, config: uvicorn.Config, jobs: Jobs, hooks: Hooks, unready_seconds: float) -> None:
        super().__init__(config)
        self._jobs = jobs
        self._hooks = hooks
        self._unready_seconds = unready_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            self._loop.add_signal_handler(signal.SIGHUP, self._hooks.reload)
        self._hooks.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._loop is None or self._jobs.draining:
            super().handle_exit(sig, frame)
            return
        self._jobs.draining = True
        self._loop.call_soon_threadsafe(self._leave, sig, frame)

    def _leave(self, sig: int, frame: FrameType | None) -> None:
        self._leaving = asyncio.ensure_future(self._leave_when_idle(sig, frame))

    async def _leave_when_idle(self, sig: int, frame: FrameType | None) -> None:
        await self._jobs.idle(self._unready_seconds)
        super().handle_exit(sig, frame)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the server calls: `ready` once requests are accepted, `reload` when the configuration is to be read anew."""

    ready: Callable[[], None]
    reload: Callable[[], None]


def server(app: ASGIApp, settings: Settings, jobs: Jobs, hooks: Hooks) -> Server:
    """A server for one process. Its own words go to the `uvicorn.error` logger, which is left as it is configured."""
    # It says that the start failed and nothing more; `Watched` knows why.
    logging.getLogger("uvicorn.error").addFilter(_says_something)
    return Server(config_for(app, settings), jobs, hooks, settings.limits.drain_unready_seconds)


def _says_something(record: logging.LogRecord) -> bool:
    return record.msg != "Application startup failed. Exiting."
