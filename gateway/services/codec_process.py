"""The codec child: reads a job from standard input, runs it, writes the answer to standard output, until either ends.

Started by `gateway.services.codec_child` as a program of its own with an empty environment, never forked from the
gateway: it inherits no socket, no secret and no thread.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import sys
import traceback
from io import BufferedReader, FileIO
from typing import Any

from gateway.services import codec_sandbox
from gateway.services.codec_frames import Answer, Job, read_job, write, write_answer
from normalization.pictures.refusal import BadPicture, CannotEncode

TRIM_FROM = 4 * 1024 * 1024
"""Pixels of a job from which on the heap is handed back after it: glibc would keep it for good."""


def allowed(function: str, modules: tuple[str, ...]) -> bool:
    """Whether "module:name" is public in one of the modules. Each stands for its submodules too; one that ends in
    `*` for every module whose name begins so."""
    module, _, name = function.partition(":")
    if not name.isidentifier() or name.startswith("_"):
        return False
    return any(
        module.startswith(known[:-1]) if known.endswith("*") else f"{module}.".startswith(f"{known}.")
        for known in modules
    )


def perform(job: Job, modules: tuple[str, ...]) -> list[bytes]:
    """Runs one job and writes its answer. Never raises: what it cannot do is an answer too."""
    try:
        codec_sandbox.limit_memory(job.memory)
        # Nobody handles SIGPROF, so it ends the process, wherever in a codec that is; Python need not come to it.
        signal.setitimer(signal.ITIMER_PROF, job.seconds)
        if not allowed(job.function, modules):
            raise ValueError(f"{job.function} is not a codec function")
        module, _, name = job.function.partition(":")
        return write_answer(Answer("done", getattr(importlib.import_module(module), name)(**job.arguments)))
    except BadPicture as refusal:
        kind = "cannot_encode" if isinstance(refusal, CannotEncode) else "refused"
        return write_answer(Answer(kind, (refusal.code, refusal.message)))
    except MemoryError:
        return write_answer(Answer("refused", ("too_large", "the picture needs more memory than it may take")))
    except Exception:
        return write_answer(Answer("broken", traceback.format_exc()))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(requests: int, replies: int, modules: tuple[str, ...]) -> None:
    """Answers jobs until nobody asks or listens any more."""
    libc: Any = ctypes.CDLL(None)
    heard = BufferedReader(FileIO(requests, closefd=False))
    while (job := read_job(heard)) is not None:
        pixels = job.pixels
        pieces = perform(job, modules)
        del job
        try:
            for piece in pieces:
                write(replies, piece)
        except OSError:
            return
        del pieces
        if pixels >= TRIM_FROM and hasattr(libc, "malloc_trim"):
            gc.collect()
            libc.malloc_trim(0)


def main(modules: tuple[str, ...]) -> None:
    """The program. Standard output becomes the answers' alone: a codec that prints must not garble them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's interrupt is the gateway's to act on
    replies = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    # Imported before the rights go, and before the first job waits for it.
    hardening = importlib.import_module("normalization.pictures.hardening")
    importlib.import_module("normalization.pictures.rework")
    hardening.harden()
    codec_sandbox.enter()
    serve(0, replies, modules)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
