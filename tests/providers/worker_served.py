"""The FLUX worker's server on a real socket, over an engine of the test's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from providers.flux_worker.worker.desk import Desk, Serving
from providers.flux_worker.worker.server import create_app
from providers.flux_worker.worker.work import Engine
from tests.served import running


@dataclass(frozen=True)
class Served:
    """`base` is the worker's address, without /v1."""

    base: str
    desk: Desk


@contextmanager
def worker(engine: Engine | None, serving: Serving | None = None, port: int = 0) -> Iterator[Served]:
    """A worker that runs as long as the block does; without an engine one whose model is still being loaded."""
    desk = Desk(serving or Serving())
    if engine is not None:
        desk.load(lambda: engine)
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(create_app(desk), lifespan="off", log_config=None, access_log=False)
    try:
        with running(config, listener):
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", desk)
    finally:
        desk.drain(0.0)
        desk.codecs.close()
