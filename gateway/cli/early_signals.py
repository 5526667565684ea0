"""Signals that reach a gateway that is still starting: told to end it ends, and a SIGHUP is acted on once it serves.

By default SIGHUP would end it, and a service manager takes that for an end that was wished for. Nothing is imported
here that takes long: what comes before `hold` cannot be helped.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

_hung_up = False
"""Signals are of the process, and so is what is known of them."""


def hold() -> None:
    """From now on, until others listen to the signals."""
    signal.signal(signal.SIGTERM, _stopped)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _noted)


def repeat() -> None:
    """Send this process again the SIGHUP that it could not act on, if there was one. Somebody listens by now."""
    global _hung_up
    if _hung_up:
        _hung_up = False
        os.kill(os.getpid(), signal.SIGHUP)


def _noted(*_: Any) -> None:
    global _hung_up
    _hung_up = True


def _stopped(*_: Any) -> NoReturn:
    sys.exit(0)
