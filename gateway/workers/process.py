"""One worker: the gateway as a single process has it, but for what it counts together with the others."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.cli import reported
from gateway.cli.listening import Hooks, Watched, server
from gateway.cli.open_files import allow
from gateway.services import heap
from gateway.services.sharing import Sharing
from gateway.telemetry.logs import logging_to
from gateway.workers.channel import Channel
from gateway.workers.shared import Coordinated
from gateway.workers.supervisor import Handed, settings_of_text
from gateway.workers.wire import SETTINGS, STOP
from normalization.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.container import Services

log = logging.getLogger("imagegate.workers")


def main(connection: int, listener: int) -> int:
    """Serve on `listener` until told to stop; both are numbers of inherited sockets. Returns the exit code."""
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor reads the file for all
    for inherited in (connection, listener):
        os.set_inheritable(inherited, False)
    handed: Handed = pickle.load(sys.stdin.buffer)  # noqa: S301  (from our own parent)

    def served() -> int:
        with logging_to(sys.stderr, handed.settings.logs):
            return _serve(handed, Channel(socket.socket(fileno=connection)), socket.socket(fileno=listener))

    return reported(served)  # around the log, whose lines are out then: why it ends is the last word


def _serve(handed: Handed, channel: Channel, listener: socket.socket) -> int:
    from gateway.app import create_app

    allow()
    settings, house = handed.settings, Coordinated(channel, handed.part)
    # With a Redis server the workers of all replicas count there; what one machine divides stays divided by it.
    sharing: Sharing = house
    if settings.state.redis is not None:
        from gateway.services.redis.sharing import redis_sharing

        sharing = redis_sharing(settings, house) or house
    app = create_app(settings, sharing)
    services = app.state.services

    watched = Watched(app)
    own = settings.model_copy(update={"limits": sharing.own(settings.limits)})

    def ready() -> None:
        heap.settle()
        channel.tell("ready")

    hooks = Hooks(ready=ready, reload=lambda: None)
    serving = server(watched, own, services.jobs, hooks)

    def orphaned() -> None:
        """Without the coordinator nothing can be counted: the door is closed at once, and what is under way ends."""
        log.error("a worker ends, since its supervisor is gone")
        serving.handle_exit(signal.SIGINT, None)

    channel.on(STOP, lambda number: serving.handle_exit(signal.Signals(number), None))
    channel.answer(SETTINGS, partial(taken_over, services))
    channel.on_lost = orphaned
    try:
        serving.run(sockets=[listener])
    except KeyboardInterrupt:
        return 0
    except SystemExit:
        if watched.failure is not None:
            raise watched.failure from None
        raise
    return 0


async def taken_over(services: Services, text: str) -> str | None:
    """Why a configuration, as `settings_text` writes it, could not be taken over; None where it is in force."""
    try:
        services.reload(settings_of_text(text))
    except ConfigurationError as error:
        return error.message
    except Exception:  # a bug of ours: whoever reloads must not hear that all is well
        log.exception("a configuration could not be taken over")
        return "a worker met an unexpected error, which stands in the log"
    return None


def _stopped(*_: Any) -> NoReturn:
    sys.exit(0)
