"""Client libraries at work: a list of calls goes to a process that has the library, what it makes of the answers
comes back.

The process is as the library's users would have it: their interpreter, their version, nothing of the gateway's
environment, no patches. It reads `{"base_url", "calls": {NAME: Call}}` from its standard input and writes
`{NAME: Spoken}` to its standard output.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from PIL import Image

from scripts import node
from scripts.files import ROOT


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client: `method` by its dotted name, `arguments` that the library's signature knows, `extra` body
    fields that it does not, `settings` of the client itself (`api_key`, `max_retries`)."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a library made of an answer: its `answer`, or the `events` of a stream and their `answer`, or the `error` it
    raised (`class`, `message`, `status`, `code`, `param`, `type`, `request_id`)."""

    answer: Any = None
    events: list[Any] = field(default_factory=list)
    request_id: str | None = None
    error: Mapping[str, Any] | None = None

    def pictures(self) -> list[Image.Image]:
        """The pictures of an answer of the images API, fetched where they came by URL."""
        assert self.error is None, self.error
        return [opened(content(item)) for item in self.answer["data"]]

    def picture(self) -> Image.Image:
        (picture,) = self.pictures()
        return picture


@dataclass(frozen=True, slots=True)
class Client:
    """A client library: a module of Python with the folder of its packages, or a file of JavaScript."""

    name: str
    program: str
    packages: Path | None = None

    def command(self) -> tuple[str, ...]:
        if self.packages is not None:
            # Without `site` nothing but the library's own packages can be imported.
            return (sys.executable, "-S", "-m", self.program)
        found = node.found()
        assert found is not None, "tests of a client of npm say that they need it"
        return (str(found.program), str(ROOT / self.program))

    def environ(self) -> dict[str, str]:
        """The variables of the process: no proxies, no keys, nobody's settings."""
        path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(self.packages)])} if self.packages is not None else {}
        return {"PATH": os.environ.get("PATH", os.defpath), **path}


OPENAI_3 = Client("openai-3", "tests.clients.openai_client", Path(sysconfig.get_path("purelib")))
OPENAI_1 = Client("openai-1", "tests.clients.openai_client", ROOT / ".clients/openai-1")
OPENAI_JS = Client("openai-js", "tests/clients/js/openai.mjs")
VERCEL = Client("vercel", "tests/clients/js/vercel.mjs")
LANGCHAIN = Client("langchain", "tests.clients.langchain_client", ROOT / ".clients/langchain")


def speak(client: Client, base_url: str, calls: Mapping[str, Call]) -> dict[str, Spoken]:
    """Let one process of `client` make the calls in the order given, and tell what came of each."""
    asked = {"base_url": base_url, "calls": {name: asdict(call) for name, call in calls.items()}}
    done = subprocess.run(  # noqa: S603 - interpreters that the tests chose
        client.command(),
        cwd=ROOT,
        env=client.environ(),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, f"{client.name}: {done.stderr[-4000:]}"
    return {name: Spoken(**each) for name, each in json.loads(done.stdout).items()}


def upload(
    data: bytes, name: str | None = None, media_type: str | None = None, how: Literal["bytes", "file"] = "bytes"
) -> dict[str, Any]:
    """A picture among the arguments of a call: bare bytes, bytes with a name and perhaps a type, or a file opened from
    the disk, each as the library's users hand it over."""
    return {"$file": {"data": base64.b64encode(data).decode(), "name": name, "type": media_type, "how": how}}


def content(item: Mapping[str, Any]) -> bytes:
    """The bytes of one entry of `data`."""
    if item.get("b64_json"):
        return base64.b64decode(item["b64_json"], validate=True)
    return httpx.get(item["url"], timeout=30).raise_for_status().content


def opened(data: bytes) -> Image.Image:
    """A picture, decoded to its last pixel."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture
