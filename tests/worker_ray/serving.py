"""deploy/ray on this machine, without a GPU and over tiny klein; ends when its standard input does.

A process of its own: what Ray and torch warn of, and start, stays there. Arguments: a folder for the weights, a port.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import ray
import yaml
from ray import serve
from ray.serve.schema import ServeDeploySchema

from scripts.files import ROOT
from tests.worker import tiny

HERE = {"name": "klein", "sizes": "256x256", "api_key_env": None, "open": "true", "gpus": "0", "threads": "1"}


def main(folder: Path, port: int) -> None:
    shipped = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text(encoding="utf-8"))
    (application,) = ServeDeploySchema.model_validate(shipped).applications
    module, _, name = application.import_path.partition(":")
    build = getattr(importlib.import_module(module), name)
    tiny.build("klein", folder)
    ray.init(address="local", num_cpus=1, num_gpus=0, include_dashboard=False, object_store_memory=100 << 20)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(build({**application.args, **HERE, "model": str(folder)}), route_prefix=application.route_prefix)
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
