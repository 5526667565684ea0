"""The gateway's end of one codec child: start it, hand it jobs, end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gateway.services.codec_frames import Answer, Job, read_answer, receive, send, write_job

ROOT = str(Path(__file__).resolve().parents[2])
ENVIRONMENT = {"SVT_LOG": "0", "MALLOC_ARENA_MAX": "2"}
"""All that a child inherits: SVT-AV1 keeps quiet, and glibc does not keep a heap for every thread."""

# Isolated mode ignores the environment and the working directory, so the checkout is named.
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from gateway.services.codec_process import main; main(tuple(sys.argv[1:]))"
)
_GOODBYE_SECONDS = 5.0


class ChildDied(Exception):
    """The child ended instead of answering. `status` is its exit status, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the codec process ended with status {status}")
        self.status = status


class Child:
    """One process. All methods but `kill` block, and belong in a thread; `exchange` one at a time."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.jobs = 0
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own program
                [sys.executable, "-I", "-B", "-c", _PROGRAM, ROOT, *modules],
                stdin=requests,
                stdout=replies,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        except OSError:
            os.close(self._requests)
            os.close(self._replies)
            raise
        finally:
            os.close(requests)
            os.close(replies)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def exchange(self, job: Job) -> Answer:
        """Runs one job. Raises `ChildDied`; the child is then gone and buried."""
        self.jobs += 1
        request = write_job(job)
        try:
            send(self._requests, request)
            del request
            body = receive(self._replies)
            if body is not None:
                return read_answer(body)
        except Exception:
            # It went away while it was spoken to, says what makes no sense, or more than fits: a child that was not
            # heard out is no use for another job.
            self.kill()
        raise ChildDied(self.end())

    def kill(self) -> None:
        """Ends the process at once. `exchange`, where it waits, then raises."""
        self._process.kill()

    def end(self) -> int:
        """Lets the process go, waits for it and returns its exit status."""
        os.close(self._requests)
        try:
            status = self._process.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        os.close(self._replies)
        return status
