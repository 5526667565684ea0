"""The worker's image and its manifests: what they install, as whom they run, that the gateway finds each pod."""

from __future__ import annotations

import re
from typing import Any

from gateway.cli.worker import EXTRA
from scripts.files import ROOT
from tests.deploy.deployed import DEPLOY, document, documents, pinned
from tests.deploy.test_container import parsed

DOCKERFILE = (DEPLOY / "Dockerfile.worker").read_text(encoding="utf-8").replace("\\\n", " ")
FOLDER = "kubernetes-worker"
KUSTOMIZATION = document(f"{FOLDER}/kustomization.yaml")
DEPLOYMENT = document(f"{FOLDER}/deployment.yaml")
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
LABELS: dict[str, str] = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def test_all_but_torch_is_held_against_its_hash() -> None:
    locks = [line for line in re.split(r"[;&]", DOCKERFILE) if "-r requirements/" in line]
    assert len(locks) == 2
    assert all("--require-hashes" in line and "--no-deps" in line for line in locks)
    assert DOCKERFILE.count("--only-binary :all:") == 2
    worker = (ROOT / "requirements/worker.txt").read_text(encoding="utf-8")
    assert all(f"\n{name}==" in worker for name in EXTRA if name != "torch")
    locked = re.search(r"^torch==.*$", worker, re.MULTILINE)
    assert locked is None or "sys_platform == 'never'" in locked[0]
    torch = re.search(r'ARG TORCH="torch==([\d.]+)"', DOCKERFILE)
    assert torch is not None
    assert f"TORCH ?= torch=={torch[1]}" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_what_goes_into_the_build_is_what_the_build_may_see() -> None:
    taken = {line[1:] for line in (ROOT / ".dockerignore").read_text().split("\n") if line.startswith("!")}
    copied = {word.rstrip("/") for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert copied == taken


def test_the_image_runs_as_a_number_and_starts_what_exists() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert "HF_HUB_OFFLINE=1" in DOCKERFILE
    assert instructions("ENTRYPOINT") == ['["imagegate", "worker"]']
    args = parsed(["worker", *re.findall(r'"([^"]+)"', instructions("CMD")[-1])])
    assert (args.host, args.api_key_env, args.open) == ("0.0.0.0", "IMAGEGATE_WORKER_KEY", False)
    assert instructions("EXPOSE") == [str(args.port)]
    assert f"127.0.0.1:{args.port}/health" in DOCKERFILE
    given = [word for line in (*instructions("ENV"), *instructions("ARG")) for word in line.split()]
    assert not [word for word in given if re.search(r"key|secret|token|password", word, re.IGNORECASE)]


def test_every_file_is_applied() -> None:
    there = {path.name for path in (DEPLOY / FOLDER).iterdir()}
    assert there == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    (image,) = KUSTOMIZATION["images"]
    assert image["name"] == CONTAINER["image"]
    assert pinned(f"{image['newName']}:{image['newTag']}")


def test_a_pod_is_one_gpu_and_restricted() -> None:
    own = CONTAINER["resources"]
    assert own["requests"]["nvidia.com/gpu"] == own["limits"]["nvidia.com/gpu"] == 1
    assert (POD["securityContext"]["runAsNonRoot"], POD["securityContext"]["runAsUser"]) == (True, 10001)
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert {"/var/cache/imagegate", "/tmp"} < set(mounts)
    assert set(mounts.values()) == {volume["name"] for volume in POD["volumes"]}
    weights = next(volume for volume in POD["volumes"] if volume["name"] == "weights")
    claim = document(f"{FOLDER}/weights.yaml")
    assert weights["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"], "readOnly": True}


def test_its_words_are_the_command_s_own_and_it_has_time_to_end() -> None:
    args = parsed(["worker", *CONTAINER["args"]])
    assert args.model in {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert args.port == CONTAINER["ports"][0]["containerPort"]
    assert [each["name"] for each in CONTAINER["env"]] == [args.api_key_env]
    assert CONTAINER["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "imagegate"
    assert POD["terminationGracePeriodSeconds"] > args.drain_unready_seconds + args.drain_seconds
    # The gateway looks every five seconds, and should have looked before the door closes.
    assert args.drain_unready_seconds > 5
    assert CONTAINER["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert CONTAINER["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}


def test_the_name_of_the_service_stands_for_every_pod() -> None:
    spec = document(f"{FOLDER}/service.yaml")["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["selector"].items() <= LABELS.items()
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= LABELS.items()
    assert spec["ports"][0]["port"] == CONTAINER["ports"][0]["containerPort"]


def test_nobody_but_the_gateway_and_prometheus_comes_in_and_nothing_goes_out() -> None:
    own, way = documents(f"{FOLDER}/network-policy.yaml")
    gateway = document("kubernetes/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert own["spec"]["podSelector"]["matchLabels"].items() <= LABELS.items()
    assert (own["spec"]["policyTypes"], own["spec"]["egress"]) == (["Ingress", "Egress"], [])
    (rule,) = own["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= gateway.items()
    assert way["spec"]["podSelector"]["matchLabels"].items() <= gateway.items()
    (out,) = way["spec"]["egress"]
    assert out["to"] == [{"podSelector": {"matchLabels": LABELS}}]
    assert out["ports"] == [{"protocol": "TCP", "port": CONTAINER["ports"][0]["containerPort"]}]
