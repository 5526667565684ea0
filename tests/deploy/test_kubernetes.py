"""deploy/kubernetes: what must hold of the manifests, whatever cluster they go to."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from tests.deploy.deployed import DEPLOY, document, drained, judged, pinned, variables

FOLDER = "kubernetes"
KUSTOMIZATION = document(f"{FOLDER}/kustomization.yaml")
DEPLOYMENT = document(f"{FOLDER}/deployment.yaml")
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
LABELS: dict[str, str] = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
CONFIG = DEPLOY / FOLDER / "imagegate.yaml"


def test_every_file_is_either_applied_or_an_example_or_optional() -> None:
    there = {path.name for path in (DEPLOY / FOLDER).iterdir()}
    applied = {*KUSTOMIZATION["resources"], *KUSTOMIZATION["configMapGenerator"][0]["files"], "kustomization.yaml"}
    assert applied <= there
    assert there - applied == {"secret.example.yaml", "service-monitor.yaml"}


def test_every_selector_finds_the_pods() -> None:
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        document(f"{FOLDER}/service.yaml")["spec"]["selector"],
        document(f"{FOLDER}/disruption.yaml")["spec"]["selector"]["matchLabels"],
        document(f"{FOLDER}/network-policy.yaml")["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in POD["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= LABELS.items() for selector in selectors)
    scaled = document(f"{FOLDER}/autoscaling.yaml")["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", DEPLOYMENT["metadata"]["name"])


def test_pods_are_restricted_as_the_strictest_standard_wants_it() -> None:
    pod, own = POD["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    assert "hostNetwork" not in POD
    namespace = document(f"{FOLDER}/namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_probes_ask_what_answers_without_a_key_and_costs_nothing() -> None:
    ports = {port["name"] for port in CONTAINER["ports"]}
    asked = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: get["path"] for name, get in asked.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {get["port"] for get in asked.values()} <= ports


def test_paid_work_may_come_in_before_a_pod_is_killed_and_none_is_missing_meanwhile() -> None:
    assert POD["terminationGracePeriodSeconds"] > drained()
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert DEPLOYMENT["spec"]["progressDeadlineSeconds"] > drained()
    assert DEPLOYMENT["spec"]["replicas"] == 2
    assert document(f"{FOLDER}/autoscaling.yaml")["spec"]["minReplicas"] == 2
    assert document(f"{FOLDER}/disruption.yaml")["spec"]["maxUnavailable"] == 1


def test_resources_are_bounded_and_memory_has_room_for_the_codecs() -> None:
    assert set(CONTAINER["resources"]) == {"requests", "limits"}
    limits = judged(CONFIG).limits
    memory = int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    assert memory > limits.codec_processes * limits.codec_memory_bytes + limits.in_flight_picture_bytes


def test_all_that_is_mounted_is_there_and_all_that_is_written_has_a_place() -> None:
    volumes = {volume["name"] for volume in POD["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    assert set(mounts.values()) == volumes
    settings = judged(CONFIG)
    assert str(settings.server.data_dir) in mounts
    data = next(volume for volume in POD["volumes"] if volume["name"] == mounts[str(settings.server.data_dir)])
    # An emptyDir in memory would count as memory, and uploads lie there.
    assert data["emptyDir"] == {"sizeLimit": "20Gi"}
    configured = next(volume for volume in POD["volumes"] if volume["name"] == mounts["/etc/imagegate"])
    assert configured["configMap"]["name"] == KUSTOMIZATION["configMapGenerator"][0]["name"]


def test_the_image_gets_a_version_from_the_kustomization() -> None:
    (image,) = KUSTOMIZATION["images"]
    assert image["name"] == CONTAINER["image"]
    assert pinned(f"{image['newName']}:{image['newTag']}")


def test_the_configuration_passes_the_check_and_shares_what_replicas_must_share() -> None:
    settings = judged(CONFIG)
    assert settings.state.url.startswith("redis://")
    assert settings.storage.url.startswith("s3://")
    assert settings.storage.signing_key is not None
    assert settings.server.host == "0.0.0.0"


def test_the_secret_names_every_variable_and_holds_no_value() -> None:
    secret = document(f"{FOLDER}/secret.example.yaml")
    assert variables(CONFIG) <= set(secret["stringData"])
    assert set(secret["stringData"].values()) == {""}
    assert CONTAINER["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    monitor = document(f"{FOLDER}/service-monitor.yaml")["spec"]["endpoints"][0]
    assert monitor["authorization"]["credentials"]["key"] in secret["stringData"]
    assert monitor["authorization"]["credentials"]["name"] == secret["metadata"]["name"]


def test_the_way_out_leads_nowhere_inside_and_never_to_the_clouds_metadata() -> None:
    policy = document(f"{FOLDER}/network-policy.yaml")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    blocks = [each["ipBlock"] for rule in policy["egress"] for each in rule["to"] if "ipBlock" in each]
    assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
    for inside in (
        "169.254.169.254",
        "169.254.170.2",
        "10.0.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "fd00:ec2::254",
        "fe80::1",
    ):
        address = ip_address(inside)
        world = next(block for block in blocks if ip_network(block["cidr"]).version == address.version)
        assert any(address in ip_network(denied) for denied in world["except"]), inside
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 6379, 8333}


def test_the_service_and_whoever_looks_at_metrics_name_a_port_that_is_there() -> None:
    (port,) = document(f"{FOLDER}/service.yaml")["spec"]["ports"]
    assert port["targetPort"] in {each["name"] for each in CONTAINER["ports"]}
    assert document(f"{FOLDER}/service-monitor.yaml")["spec"]["endpoints"][0]["port"] == port["name"]
    (rule,) = document(f"{FOLDER}/network-policy.yaml")["spec"]["ingress"]
    assert rule["ports"][0]["port"] == port["targetPort"]
