"""nginx in front of the gateway: what its files say, and that in their care nothing paid for is asked for twice."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.config.limits import Limits
from gateway.config.model import Server
from scripts.test_needs import NEEDS
from tests.deploy.deployed import DEPLOY

NAMES = ("nginx.conf", "compose.nginx.conf")
READY_SECONDS = 20.0
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


def text(name: str) -> str:
    """A configuration without its comments."""
    return re.sub(r"^\s*#.*$", "", (DEPLOY / name).read_text(encoding="utf-8"), flags=re.MULTILINE)


def said(name: str, directive: str) -> list[str]:
    return re.findall(rf"^\s*{directive}\s+(.+);$", text(name), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_clients_wait_as_long_as_the_gateway_may_take(name: str) -> None:
    for directive in ("proxy_read_timeout", "proxy_send_timeout"):
        (value,) = said(name, directive)
        assert int(value.removesuffix("s")) >= 620 > Server().deadline_seconds


@pytest.mark.parametrize("name", NAMES)
def test_uploads_pass_through_whole_and_unbuffered(name: str) -> None:
    (most,) = said(name, "client_max_body_size")
    assert int(most.removesuffix("m")) * 2**20 > Limits().multipart_body_bytes
    assert said(name, "proxy_request_buffering") == ["off"]
    assert said(name, "gzip") == ["off"]


@pytest.mark.parametrize("name", NAMES)
def test_a_request_that_was_sent_is_never_sent_again(name: str) -> None:
    assert said(name, "proxy_next_upstream") in (["off"], ["error"])


@pytest.mark.parametrize("name", NAMES)
def test_the_proxy_lets_go_of_an_idle_connection_first(name: str) -> None:
    (idle,) = said(name, "keepalive_timeout")
    assert int(idle.removesuffix("s")) < Limits().keep_alive_seconds


@pytest.mark.parametrize("name", NAMES)
def test_what_a_client_says_of_its_own_address_is_not_passed_on(name: str) -> None:
    headers = dict(value.split(" ", 1) for value in said(name, "proxy_set_header"))
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert headers["X-Forwarded-Host"] == "$http_host"
    assert headers["X-Forwarded-Proto"] == "$scheme"


@pytest.mark.parametrize("name", NAMES)
def test_operators_pages_are_closed_to_the_world(name: str) -> None:
    place = re.search(r"location ~ \^/\(metrics\$\|admin/\) \{([^}]*)\}", text(name))
    assert place is not None
    assert "deny all;" in place[1] or "return 403;" in place[1]


@dataclass(slots=True)
class Backend:
    """A gateway of a kind: counts the requests that reach it, and answers them, or hangs up."""

    answers: bool
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    seen: int = 0

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                whole = b""
                while b"\r\n\r\n" not in whole or not whole.endswith(b"picture"):
                    got = connection.recv(65536)
                    if not got:
                        break
                    whole += got
                self.seen += 1
                if self.answers:
                    connection.sendall(ANSWER)


@contextmanager
def behind_nginx(folder: Path, *ports: int) -> Iterator[int]:
    """The port of an nginx with the configuration of two gateways, which are at `ports` here."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = int(free.getsockname()[1])
    config = (DEPLOY / "compose.nginx.conf").read_text(encoding="utf-8")
    for address, ours in zip(("172.28.251.11:8000", "172.28.251.12:8000"), ports, strict=True):
        config = config.replace(address, f"127.0.0.1:{ours}")
    config = config.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/", f"{folder}/")
    config = config.replace("worker_processes auto", "worker_processes 1")
    config = config.replace("/dev/stdout", f"{folder}/access.log").replace("/dev/stderr", f"{folder}/error.log")
    path = folder / "nginx.conf"
    path.write_text(config, encoding="utf-8")
    program = NEEDS["nginx"].path()
    assert program is not None
    process = subprocess.Popen(  # noqa: S603 - the system's own nginx
        [program, "-e", f"{folder}/error.log", "-c", str(path), "-g", "daemon off;"],
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        assert process.poll() is None
        yield port
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


def post(port: int) -> int:
    """The status of one request for a picture."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)) as client:
        client.request("POST", "/v1/images/generations", body=b"picture")
        return client.getresponse().status


@contextmanager
def running(backend: Backend) -> Iterator[Backend]:
    worker = threading.Thread(target=backend.serve)
    worker.start()
    try:
        yield backend
    finally:
        backend.listener.shutdown(socket.SHUT_RDWR)
        backend.listener.close()
        worker.join(READY_SECONDS)


@pytest.mark.needs("nginx")
def test_a_gateway_that_is_gone_is_passed_over_and_nobody_notices(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        gone = int(closed.getsockname()[1])
    with running(Backend(answers=True)) as well, behind_nginx(tmp_path, gone, well.port) as port:
        assert [post(port) for _ in range(4)] == [200] * 4
    assert well.seen == 4


@pytest.mark.needs("nginx")
def test_a_request_that_a_gateway_had_is_not_taken_to_the_other(tmp_path: Path) -> None:
    with (
        running(Backend(answers=False)) as dying,
        running(Backend(answers=True)) as well,
        behind_nginx(tmp_path, dying.port, well.port) as port,
    ):
        statuses = [post(port) for _ in range(4)]
    assert dying.seen == statuses.count(502) > 0
    assert well.seen == statuses.count(200)
    assert dying.seen + well.seen == 4


@pytest.mark.needs("nginx")
def test_operators_pages_are_refused_by_nginx_itself(tmp_path: Path) -> None:
    with running(Backend(answers=True)) as well, behind_nginx(tmp_path, well.port, well.port) as port:
        for path in ("/metrics", "/admin/usage"):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)) as client:
                client.request("GET", path)
                assert client.getresponse().status == 403
    assert well.seen == 0
