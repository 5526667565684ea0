"""A gateway on a real socket, for tests that speak to it as a client would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from gateway.app import create_app
from gateway.config.load import load
from gateway.config.model import Settings
from gateway.serving.server import config_for


def settings_of(tmp_path: Path, config: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a configuration as a mapping, by way of a file, with the data directory under `tmp_path`."""
    whole = {**config, "server": {"data_dir": str(tmp_path / "data"), **config.get("server", {})}}
    path = tmp_path / "imagegate.yaml"
    path.write_text(yaml.safe_dump(whole))
    return load(path, environ or {})


@contextmanager
def served(settings: Settings, listener: socket.socket | None = None) -> Iterator[str]:
    """The base URL ("http://127.0.0.1:PORT/v1") of a gateway that runs as long as the block does; on `listener` where
    the settings must know the port beforehand."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    with running(config_for(create_app(settings), settings), listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@contextmanager
def running(config: uvicorn.Config, listener: socket.socket) -> Iterator[uvicorn.Server]:
    """A server in a thread of its own that runs as long as the block does."""
    started = threading.Event()
    server = _Server(config, started)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert started.wait(20), "the gateway did not start"
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the gateway did not end"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._ready = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()
