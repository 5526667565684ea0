"""How many files and connections the process may have open."""

from __future__ import annotations

import contextlib
import sys

ENOUGH = 65_536
"""An edit with four pictures takes a connection at either end and four files, and hundreds may be under way. No more
than this is asked for, since where the system sets no bound some programs work through all that they might have."""


def allow() -> None:
    """Raise the limit on open files (`ulimit -n`, often 1024) as far as the system lets us, up to ENOUGH."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    with contextlib.suppress(OSError, ValueError):  # some systems have a lower bound that they do not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
