"""Processes under measurement: started, waited for, weighed from /proc with all their children, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class NotStarted(Exception):
    """A process that did not come up; the message is the end of what it said."""


class Server:
    """A server process and its children.

    `command`: what to start. `ready`: a URL that answers 200 once it takes work. `log`: the file that takes what it
    prints. Raises NotStarted.
    """

    def __init__(
        self, command: Sequence[str], ready: str, log: Path, *, environ: Mapping[str, str] | None = None
    ) -> None:
        began = time.perf_counter()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(environ or {})},
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await(ready, log, began + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - began
        """From the start of the process to its first 200."""

    def _await(self, ready: str, log: Path, until: float) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.perf_counter() < until:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), direct.open(ready, timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.01)
        raise NotStarted(log.read_text(errors="replace")[-1500:].strip() or "it said nothing")

    def pids(self) -> list[int]:
        """The process and all its descendants."""
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    # pid (name, which may hold anything) state ppid ...
                    fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                    children.setdefault(int(fields[1]), []).append(int(name))
        tree = [self._process.pid]
        for pid in tree:
            tree.extend(children.get(pid, ()))
        return tree

    def cpu_seconds(self) -> dict[int, float]:
        """User and system time of each process so far, by its own clock: /proc counts in steps of 10 ms only."""
        found = {}
        for pid in self.pids():
            with contextlib.suppress(OSError):
                found[pid] = time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
        return found

    def memory_bytes(self, field: str = "VmRSS", pids: Sequence[int] | None = None) -> int:
        """The sum over all processes, or some, of VmRSS, or of VmHWM: the most since `forget_peak`."""
        total = 0
        for pid in self.pids() if pids is None else pids:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith(f"{field}:"):
                        total += int(line.split()[1]) * 1024
        return total

    def forget_peak(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        pids = self.pids() if self._process.poll() is None else []
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in pids[1:]:  # what outlived its parent
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def cpu_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Seconds of CPU used between two looks at the same server."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
