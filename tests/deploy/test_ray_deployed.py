"""deploy/ray: what must hold of the application's configuration, wherever it goes; Ray itself is not needed."""

from __future__ import annotations

import importlib
import re

from providers.flux_worker.worker.options import Options
from providers.flux_worker.worker.ray_app import QUESTIONS, Arguments
from scripts.files import ROOT
from tests.deploy.deployed import document

CONFIG = document("ray/serve.yaml")
(APPLICATION,) = CONFIG["applications"]


def test_the_application_is_built_by_what_exists() -> None:
    module, _, name = APPLICATION["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert APPLICATION["route_prefix"] == "/", "the worker's paths begin at the root"


def test_its_arguments_are_what_the_application_takes() -> None:
    arguments = Arguments.model_validate(APPLICATION["args"])
    assert (arguments.gpus, arguments.api_key_env, arguments.open) == (1, "IMAGEGATE_WORKER_KEY", False)
    assert arguments.deployment()["autoscaling_config"]["max_replicas"] > 1


def test_ray_hands_a_replica_what_its_engine_has_room_for() -> None:
    arguments = Arguments(model="m", batch=3, queue=5, open=True)
    options = arguments.options()
    assert options == Options(model="m", batch_most=3, waiting_most=5)
    room = 2 * options.batch_most + options.waiting_most
    assert arguments.deployment()["max_ongoing_requests"] == room + QUESTIONS


def test_it_is_locked_as_the_worker_s_environment_is() -> None:
    versions = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.M))
        for name in ("ray.txt", "worker.txt", "runtime.txt", "dev.txt")
    ]
    ray, *others = versions
    assert "ray" in ray
    for other in others:
        assert {name: version for name, version in other.items() if name in ray} == {
            name: ray[name] for name in other if name in ray
        }
