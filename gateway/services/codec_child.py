"""The gateway's end of one codec child: start it, hand it jobs, end it."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BufferedReader, FileIO
from pathlib import Path

from gateway.services.codec_frames import Answer, Job, Sink, read_answer, write, write_job

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
    """One process. All methods but `kill` block, and belong in a thread; `exchange` one at a time. `ready`: it is
    between two jobs, and may be given another."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.jobs = 0
        self.ready = True
        requests, self._requests = os.pipe()
        try:
            heard, replies = os.pipe()
        except OSError:  # where too many files are open, each try would leave two more
            os.close(requests)
            os.close(self._requests)
            raise
        self._replies = BufferedReader(FileIO(heard))
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
            self._replies.close()
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

    def exchange(self, job: Job, sink: Sink | None = None) -> Answer:
        """Runs one job; with a sink the answer's bytes go there (see `read_answer`).

        Raises `ChildDied`; the child is then gone and buried. Otherwise raises what content or sink raise: where the
        child was told only half of a job, it is then not `ready` any more.
        """
        self.jobs += 1
        pieces = write_job(job)
        self.ready = False
        for piece in pieces:
            try:
                write(self._requests, piece)
            except OSError as error:
                raise self._lost() from error
        kept = _Kept(sink)
        try:
            answer = read_answer(self._replies, None if sink is None else kept.take)
        except EOFError as error:
            raise ChildDied(self.end()) from error
        except Exception as error:
            # It says what makes no sense, or more than fits: a child that was not heard out is no use for another job.
            raise self._lost() from error
        self.ready = True
        if kept.error is not None:
            raise kept.error
        return answer

    def _lost(self) -> ChildDied:
        self.kill()
        return ChildDied(self.end())

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
        self._replies.close()
        return status


class _Kept:
    """A sink that may fail, and is then spared the rest: the answer is heard out all the same."""

    def __init__(self, sink: Sink | None) -> None:
        self._sink = sink
        self.error: Exception | None = None

    def take(self, data: bytes) -> None:
        if self._sink is None or self.error is not None:
            return
        try:
            self._sink(data)
        except Exception as error:
            self.error = error
