"""What is compared, and how each is set up to do the same: pass on an images request, and the picture back."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import orjson
import pybase64
from PIL import Image

from benchmarks.processes import NotStarted, Server

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".bench" / "venv"
LITELLM = "litellm[proxy]==1.106.2"
INSTALL_SECONDS = 600
KEY = f"sk-{secrets.token_hex(16)}"

BODIES = ("small", "b64")
"""A tiny picture, and one of 1024 x 1024 pixels; a model's name is its body's."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure. `path` leads to the images endpoint, with {} for the body's name where that tells."""

    name: str
    start: Callable[[Path, str], tuple[Server, str]]
    """(its folder, the provider's address) -> the server and its own address."""
    path: str = "/v1/images/generations"


def make_answers(folder: Path) -> dict[str, Path]:
    """The provider's canned answers, in a layout that nginx serves as the endpoint, by the body's name."""
    answers = {}
    for name, picture in (("small", tiny_picture()), ("b64", noise_picture())):
        path = folder / name / "v1" / "images" / "generations"
        path.parent.mkdir(parents=True)
        usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
        encoded = pybase64.b64encode(picture).decode()
        path.write_bytes(orjson.dumps({"created": 1_760_000_000, "data": [{"b64_json": encoded}], "usage": usage}))
        answers[name] = path
    return answers


def tiny_picture() -> bytes:
    return _png(Image.new("RGB", (16, 16), (200, 80, 20)))


def noise_picture() -> bytes:
    """1.5 MB: noise of 16 levels, which deflate cannot make smaller than 4 bits a sample."""
    return _png(noise_of(1024))


def noise_of(side: int) -> Image.Image:
    """The same noise at each run: 1.5 bytes a pixel as a PNG."""
    levels = bytes(value & 0xF0 for value in range(256))
    noise = random.Random(1).randbytes(side * side * 3).translate(levels)
    return Image.frombytes("RGB", (side, side), noise)


def _png(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _nginx(folder: Path, server: str) -> tuple[Server, str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise NotStarted("nginx is not installed (Debian: apt-get install nginx-light)")
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(f"""
        {user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; {temporary} keepalive_requests 1000000; client_max_body_size 100m;
            {server.replace("PORT", str(port))}
        }}""")
    log = folder / "log"
    address = f"http://127.0.0.1:{port}"
    return Server([program, "-e", "stderr", "-c", str(config)], f"{address}/readyz", log), address


def start_provider(folder: Path, answers: Path) -> tuple[Server, str]:
    """nginx as the provider: whatever is posted, the answer is a file."""
    return _nginx(
        folder,
        f"""server {{
            listen 127.0.0.1:PORT; root {answers}; default_type application/json; sendfile on; tcp_nopush on;
            location = /readyz {{ return 200; }}
            location / {{ error_page 405 =200 $uri; }}
        }}""",
    )


def start_nginx(folder: Path, provider: str) -> tuple[Server, str]:
    """nginx as a reverse proxy that holds a whole answer in memory: the floor."""
    upstream = provider.removeprefix("http://")
    return _nginx(
        folder,
        f"""upstream provider {{ server {upstream}; keepalive 128; keepalive_requests 1000000; }}
        server {{
            listen 127.0.0.1:PORT;
            location = /readyz {{ return 200; }}
            location / {{
                proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_buffer_size 64k; proxy_buffers 12 256k; proxy_busy_buffers_size 512k;
                proxy_max_temp_file_size 0;
            }}
        }}""",
    )


def start_naive(folder: Path, provider: str) -> tuple[Server, str]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "benchmarks.naive:app", "--port", str(port), "--no-access-log"]
    environ = {"UPSTREAM": f"{provider}/{{}}/v1/images/generations", "PYTHONPATH": str(ROOT)}
    return Server(command, f"{address}/readyz", folder / "log", environ=environ), address


def start_litellm(folder: Path, provider: str) -> tuple[Server, str]:
    install_litellm()
    models = "".join(
        f"""
  - model_name: {body}
    litellm_params: {{model: openai/gpt-image-1, api_base: "{provider}/{body}/v1", api_key: sk-x}}"""
        for body in BODIES
    )
    config = folder / "config.yaml"
    config.write_text(f"model_list:{models}\ngeneral_settings: {{master_key: {KEY}}}\n")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(PEERS / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    # Its list of prices would otherwise be fetched at every start, and its log is not what is compared.
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    return Server(command, f"{address}/health/liveliness", folder / "log", environ=environ), address


def install_litellm() -> None:
    """LiteLLM in an environment of its own, once. Raises NotStarted where it cannot be installed."""
    if (PEERS / "bin" / "litellm").exists():
        return
    print(f"installing {LITELLM} into {PEERS.relative_to(ROOT)}", flush=True)
    try:
        venv.create(PEERS, with_pip=True, clear=True)
        subprocess.run(
            [PEERS / "bin" / "pip", "install", "--quiet", LITELLM],
            check=True,
            timeout=INSTALL_SECONDS,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(PEERS, ignore_errors=True)
        raise NotStarted(f"{LITELLM} cannot be installed: {error}") from error


def start_imagegate(folder: Path, provider: str) -> tuple[Server, str]:
    """imagegate with what it is for: keys, limits, prices, records and metadata."""
    port = free_port()
    providers = "".join(
        f"""
  to-{body}: {{type: openai, base_url: "{provider}/{body}/v1", api_key: sk-x}}"""
        for body in BODIES
    )
    models = "".join(
        f"""
  {body}: {{routes: [{{provider: to-{body}, model: gpt-image-1, price: {{usd_per_image: 0.04}}}}]}}"""
        for body in BODIES
    )
    config = folder / "imagegate.yaml"
    config.write_text(f"""
server: {{port: {port}, data_dir: {folder}/data}}
auth:
  keys: [{{name: bench, key: {KEY}, requests_per_minute: 1000000, images_per_minute: 1000000, max_concurrent: 500}}]
normalization: {{default_response_format: b64_json}}
providers:{providers}
models:{models}
""")
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config)]
    return Server(command, f"{address}/readyz", folder / "log", environ={"PYTHONPATH": str(ROOT)}), address


SUBJECTS = (
    Subject("nginx", start_nginx, path="/{}/v1/images/generations"),
    Subject("naive", start_naive),
    Subject("litellm", start_litellm),
    Subject("imagegate", start_imagegate),
)
