"""deploy/compose.yaml and what belongs to it."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.deploy.deployed import DEPLOY, document, drained, judged, pinned, variables

COMPOSE = document("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAYS = ("gateway-1", "gateway-2")
EXAMPLE = (DEPLOY / "imagegate.env.example").read_text(encoding="utf-8")


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_only_nginx_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["nginx"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert [name for name, service in SERVICES.items() if "outside" not in service["networks"]] == [
        "redis",
        "bucket",
        "bucket-made",
    ]


def test_every_image_is_pinned_to_a_version() -> None:
    for name, service in SERVICES.items():
        image = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", service["image"])
        assert pinned(image), name


def test_nothing_runs_with_rights_that_it_does_not_need_or_without_bounds() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["logging"]["options"]["max-size"], name
    assert [name for name, service in SERVICES.items() if not service.get("read_only")] == ["bucket"]


def test_every_service_that_stays_says_whether_it_is_well() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for name, service in SERVICES.items():
        if name == "bucket-made":
            continue
        assert "healthcheck" in service or (name in GATEWAYS and "HEALTHCHECK" in dockerfile), name


def test_who_is_waited_for_is_there_and_is_well_first() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            healthy = "healthcheck" in SERVICES[other] or other in GATEWAYS
            condition = "service_healthy" if healthy else "service_completed_successfully"
            assert wanted["condition"] == condition, (name, other)


@pytest.mark.parametrize("name", ["nginx", *GATEWAYS])
def test_paid_work_may_come_in_before_a_container_is_killed(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > drained()


def test_each_gateway_has_a_folder_of_its_own_and_all_else_in_common() -> None:
    one, two = (SERVICES[name] for name in GATEWAYS)
    folders = [[volume for volume in gateway["volumes"] if "/var/lib/imagegate" in volume] for gateway in (one, two)]
    assert folders[0] != folders[1]
    differ = {key for key in one if one[key] != two[key]}
    assert differ == {"volumes", "networks"}


def test_redis_keeps_every_write_and_evicts_nothing() -> None:
    command = SERVICES["redis"]["command"][-1]
    for words in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "--requirepass"):
        assert words in command


def test_no_secret_stands_in_any_file() -> None:
    assert re.findall(r"^\w+=(.*)$", EXAMPLE, re.MULTILINE) == [""] * EXAMPLE.count("=\n")
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            secret = re.search(r"PASSWORD|SECRET|ACCESS_KEY", key)
            assert not secret or re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), (name, key)


def test_every_variable_is_named_in_the_example() -> None:
    named = set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))
    assert variables(DEPLOY / "compose.config.yaml") <= named
    assert set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))) <= named


def test_the_configuration_passes_the_check_and_shares_what_two_must_share() -> None:
    settings = judged(DEPLOY / "compose.config.yaml")
    assert settings.state.url.startswith("redis://")
    assert f"@{next(name for name in SERVICES if name == 'redis')}:6379" in settings.state.url
    assert settings.storage.url == "s3://imagegate"
    assert settings.storage.signing_key is not None
    assert settings.auth.admin_key is not None
    assert str(settings.server.data_dir) == "/var/lib/imagegate"


def test_the_bucket_that_is_made_is_the_one_that_is_used() -> None:
    config = (DEPLOY / "compose.config.yaml").read_text(encoding="utf-8")
    used = re.search(r"url: s3://([^/\s]+)", config)
    assert used is not None
    assert f"create-bucket --bucket {used[1]}" in SERVICES["bucket-made"]["command"][0]
    assert SERVICES["bucket-made"]["environment"]["AWS_ENDPOINT_URL"] == "http://bucket:8333"
    assert SERVICES["gateway-1"]["environment"]["AWS_ENDPOINT_URL"] == "http://bucket:8333"


def test_nginx_alone_is_believed_and_finds_the_gateways_where_they_are() -> None:
    nginx = (DEPLOY / "compose.nginx.conf").read_text(encoding="utf-8")
    addresses = {name: SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in ("nginx", *GATEWAYS)}
    assert set(re.findall(r"server (\S+):8000", nginx)) == {addresses[name] for name in GATEWAYS}
    (trusted,) = judged(DEPLOY / "compose.config.yaml").server.trusted_proxies
    assert list(trusted) == [ip_address(addresses["nginx"])]
    subnet = ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"])
    assert all(ip_address(address) in subnet for address in addresses.values())
