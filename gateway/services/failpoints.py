"""Places where a test can have this process killed, to prove what a crash exactly there leaves behind.

Inert unless both variables are in the environment when the process starts: IMAGEGATE_TESTING=1 and
IMAGEGATE_FAILPOINT=<one of the names below>.
"""

from __future__ import annotations

import os
import signal
from typing import Final, Literal, get_args

Name = Literal[
    "before_begin",
    "after_begin",
    "after_send",
    "after_accepted",
    "polling",
    "after_result",
    "after_fetch",
    "before_settle",
    "before_answer",
]
"""The life of a submission, in its order."""

NAMES: Final[tuple[str, ...]] = get_args(Name)

_ARMED: Final = os.environ.get("IMAGEGATE_FAILPOINT") if os.environ.get("IMAGEGATE_TESTING") == "1" else None


def reach(name: Name) -> None:
    """Die here, as at a power cut and with no chance to clean up, where a test has asked for this place."""
    if name == _ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
