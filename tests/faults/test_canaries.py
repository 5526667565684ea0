"""Secrets, prompts and pictures planted wherever they pass, and looked for wherever they must not stay: in the log, the
metrics, the error answers and every file of the state."""

from __future__ import annotations

import base64
import json
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.gateway.together import until
from tests.simulators.base import running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.openai import OpenAISimulator

PATH = "/v1/images/generations"

Reply = Callable[[Received], Answer]


class Echo(OpenAISimulator):
    """A provider that quotes all that it was sent when it refuses, and keeps nothing to itself."""

    def __init__(self) -> None:
        super().__init__(anonymous=True)
        self.next: list[Reply] = []

    async def handle(self, received: Received) -> Answer:
        if self.kind(received) == "submit" and self.next:
            return self.next.pop(0)(received)
        return await super().handle(received)


def quoting(status: int) -> Reply:
    """A refusal that quotes the request, its key and its prompt."""

    def reply(received: Received) -> Answer:
        body = received.body.decode(errors="replace")
        headers = {name: value for name, value in received.headers.items() if name not in ("host", "content-length")}
        message = f"refused {json.dumps(headers)}: {body} (your key {received.headers.get('authorization')})"
        error = {"message": message, "type": "invalid_request_error", "code": "x", "param": None}
        return answer_json({"error": error}, status, {"x-debug": body[:200].replace("\n", " ")})

    return reply


def raw(status: int, body: bytes) -> Reply:
    return lambda received: Answer(status, body, {"content-type": "text/html"})


@dataclass
class Planted:
    """Canaries by name. `known` stand for what only the gateway may know, `written` for what a client wrote."""

    known: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def secret(self, name: str, form: str = "{}") -> str:
        return self._plant(self.known, name, form)

    def private(self, name: str, form: str = "{}") -> str:
        return self._plant(self.written, name, form)

    @staticmethod
    def _plant(among: dict[str, str], name: str, form: str) -> str:
        # Letters alone: nothing about it looks like a key, so only what is known of its place hides it.
        mark = "".join(secrets.choice("bcdfghjklmnpqrstvwxz") for _ in range(24))
        among[name] = mark
        return form.format(mark)

    @staticmethod
    def found(among: dict[str, str], text: str) -> list[str]:
        """The names of those that stand in a text, as they are or in base64."""
        found = []
        for name, mark in among.items():
            forms = [mark, *(base64.b64encode(b"x" * shift + mark.encode()).decode()[4:28] for shift in range(3))]
            found += [name] * any(form in text for form in forms)
        return found


@dataclass
class Gateway:
    process: subprocess.Popen[str]
    client: httpx.Client
    echo: Echo
    planted: Planted
    config: Path
    key: str
    admin: str
    said: list[str] = field(default_factory=list)
    """Every error answer, headers included."""

    def ask(self, reply: Reply | None = None, *, path: str = PATH, headers: Any = None, **body: Any) -> httpx.Response:
        if reply is not None:
            self.echo.next.append(reply)
        answer = self.client.post(
            path, json={"model": "m", "size": "64x64", "prompt": "a fox", **body}, headers=headers
        )
        self.note(answer)
        return answer

    def note(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            self.said.append(f"{answer.headers} {answer.text}")


@contextmanager
def gateway(folder: Path, planted: Planted) -> Iterator[Gateway]:
    key, admin = planted.secret("client key", "client-{}"), planted.secret("admin key", "admin-{}")
    config, log = folder / "c.yaml", folder / "log"
    with running(Echo()) as echo:
        config.write_text(yaml.safe_dump(_configuration(folder, planted, echo.base_url, key, admin)))
        with log.open("w") as stderr:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
            try:
                assert process.stdout is not None
                greeting = re.search(r"http://\S+:\d+", process.stdout.readline())
                assert greeting is not None, log.read_text()
                headers = {"authorization": f"Bearer {key}"}
                with httpx.Client(base_url=greeting[0], timeout=60, headers=headers) as client:
                    yield Gateway(process, client, echo, planted, config, key, admin)
            finally:
                process.terminate()
                process.wait(60)
                assert process.stdout is not None
                process.stdout.close()


def _configuration(folder: Path, planted: Planted, url: str, key: str, admin: str) -> dict[str, Any]:
    provider = {
        "type": "openai",
        "base_url": url,
        "api_key": planted.secret("provider key"),
        "headers": {"x-tenant": planted.secret("provider header")},
    }
    return {
        "server": {"data_dir": str(folder / "data")},
        "logs": {"level": "debug", "format": "json"},
        "auth": {"admin_key": admin, "keys": [{"name": "team", "key": key}]},
        "storage": {"signing_key": planted.secret("signing key", "signing-key-of-many-letters-{}")},
        "limits": {"retries": 0, "drain_unready_seconds": 0.1},
        "providers": {"up": provider},
        "models": {"m": {"routes": [{"provider": "up", "model": "x", "price": {"usd_per_image": 0.1}}]}},
    }


def failing_providers(here: Gateway) -> None:
    """What a provider says when it fails, from every status that means something else."""
    plant = here.planted
    for status in (400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503):
        prompt = f"a fox {plant.private(f'prompt that the provider refused with {status}')} in the snow"
        assert here.ask(quoting(status), prompt=prompt, n=1).status_code >= 400
    for name, body in (
        ("html", "<html><body>{}</body></html>"),
        ("an answer without a picture", '{{"data": [], "note": "{}"}}'),
        ("half an answer", '{{"data": [{{"b64_json": "{}'),
        ("a soft failure", '{{"error": {{"message": "content policy: {}"}}}}'),
    ):
        mark = plant.private(f"prompt in {name}")
        assert here.ask(raw(200, body.format(f"you said {mark}").encode()), prompt=f"say {mark}").status_code >= 400


def results_elsewhere(here: Gateway) -> None:
    """Where a provider says that its pictures are."""
    plant = here.planted
    for name, url in (
        ("signature of a result", "http://127.0.0.1:9/x.png?sig={}"),
        ("password of a result", "http://user:{}@127.0.0.1:9/x.png"),
        ("S3 signature of a result", "https://no-such-host.invalid/x?X-Amz-Signature={}"),
    ):
        answer = json.dumps({"created": 1, "data": [{"url": plant.secret(name, url)}]}).encode()
        assert here.ask(raw(200, answer)).status_code >= 400


def bad_requests(here: Gateway) -> None:
    """What clients send that should not have come."""
    plant = here.planted
    word = plant.private
    here.ask(size=word("bad size"))
    here.ask(model=word("unknown model"))
    here.ask(output_format=word("bad format"))
    here.ask(prompt=word("prompt of a bad request"), n=99)
    here.ask(path=f"/v1/images/edits?key={word('key in a query')}", prompt=word("prompt of an edit"))
    picture = base64.b64encode(word("bytes of a picture").encode() * 20).decode()
    here.ask(path="/v1/images/edits", image=f"data:image/png;base64,{picture}")
    here.ask(path="/v1/images/edits", image=picture)
    here.ask(path="/v1/images/edits", image=f"http://me:{word('password of an image_url')}@127.0.0.1:9/x?sig=1")
    here.ask(path="/v1/images/edits", image=f"http://127.0.0.1:9/x?sig={word('signature of an image_url')}")
    for headers in (
        {"authorization": f"Bearer {word('wrong key')}"},
        {"authorization": "", "api-key": word("wrong api-key")},
        {"authorization": f"Basic {word('password by Basic')}"},
    ):
        assert here.ask(headers=headers).status_code == 401
    here.ask(headers={"cookie": f"session={word('cookie')}", "x-custom": word("header"), "user-agent": word("agent")})
    for method, path in (("GET", "/v1/images/files/{}.png?exp=1&sig=x"), ("GET", "/v1/images/files/a.png?sig={}")):
        here.note(here.client.request(method, path.format(word(f"{path} file"))))
    body = {"event": word("notice")}
    here.note(here.client.post("/webhooks/up", json=body, headers={"x-signature": word("signature of a notice")}))
    here.note(here.client.get("/metrics", headers={"authorization": f"Bearer {word('wrong admin key')}"}))
    broken = f'{{"prompt": "{word("prompt in broken JSON")}'
    here.note(here.client.post(PATH, content=broken, headers={"content-type": "application/json"}))


def good_requests(here: Gateway) -> None:
    """What goes well leaves nothing either."""
    word = here.planted.private
    answer = here.ask(prompt=f"a fox {word('prompt of a good request')}", user=None)
    assert answer.status_code == 200, answer.text
    url = answer.json()["data"][0]["url"]
    here.planted.known["signature of a picture"] = re.search(r"sig=([^&]+)", url)[1]  # type: ignore[index]
    assert here.client.get(url).status_code == 200
    here.note(here.client.get(f"{url}x"))
    stream = here.ask(prompt=f"a fox {word('prompt of a stream')}", stream=True)
    assert stream.status_code == 200
    reply = here.ask(path="/v1/responses", prompt=None, input=word("input of a response"), store=False)
    here.note(reply)


def bad_configurations(here: Gateway) -> None:
    """Files that SIGHUP finds, none of which can be used."""
    secret = here.planted.secret
    good = here.config.read_text()
    log = here.config.with_name("log")
    spoilt = (
        good.replace("type: openai", f"type: openai\n    secret_key: {secret('unknown key of the file')}"),
        good.replace("api_key: ", f"api_key: '{secret('key with a space')} x' #"),
        good.replace("api_key: ", f'api_key: "{secret("key that breaks the YAML")}\n  x'),
        good.replace("base_url: http://", f"base_url: http://user:{secret('password in a base_url')}@"),
        f"{good}\nstate: {{url: 'redis://:{secret('password of Redis')}@h/x/y/z?'}}\n",
    )
    for number, text in enumerate(spoilt, 1):
        here.config.write_text(text)
        here.process.send_signal(signal.SIGHUP)
        until(f"file {number} is refused", lambda number=number: log.read_text().count("not reloaded") == number)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
def test_no_canary_is_found_where_it_must_not_be(tmp_path: Path) -> None:
    planted = Planted()
    with gateway(tmp_path, planted) as here:
        for happening in (failing_providers, results_elsewhere, bad_requests, good_requests):
            happening(here)
        admin = {"authorization": f"Bearer {here.admin}"}
        paths = ("/metrics", "/admin/health", "/admin/usage", "/admin/config", "/admin/jobs")
        told = [here.client.get(path, headers=admin) for path in paths]
        assert told[0].status_code == 200
        bad_configurations(here)
    log = (tmp_path / "log").read_text()
    # Before the log begins, the command line speaks in words of its own; after it, every line is a record.
    records = [json.loads(line) for line in log.splitlines() if not line.startswith("warning: ")]
    assert len(records) > 50
    assert len(here.said) > 35
    assert len({*planted.known, *planted.written}) >= 40
    everything = planted.known | planted.written
    assert planted.found(everything, log) == []
    assert "[secret]" in log
    assert "[prompt]" in log
    assert planted.found(everything, "\n".join(each.text for each in told)) == []
    assert planted.found(planted.known, "\n".join(here.said)) == []
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    kept = {name for path in files for name in planted.found(everything, path.read_bytes().decode("latin-1"))}
    # An answer is kept word for word for whoever lost it, its receipt of the prompt included; nothing else is.
    assert kept <= {"prompt of a good request", "prompt of a stream"}


def test_a_canary_would_be_found() -> None:
    planted = Planted()
    mark = planted.secret("x")
    assert planted.found(planted.known, f"...{mark}...") == ["x"]
    for shift in range(3):
        written = base64.b64encode(b"y" * (3 + shift) + mark.encode() + b"zz").decode()
        assert planted.found(planted.known, written) == ["x"]
