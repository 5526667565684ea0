"""What comes in at the door: keys, names, bodies, errors. A real socket, the embedded provider behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.served import served, settings_of

KEYED = {
    "server": {"cors_origins": ["https://app.example"]},
    "auth": {
        "keys": [
            {"name": "plain", "key": "ig_plain", "requests_per_minute": 1000},
            {"name": "digest", "key": f"sha256:{hashlib.sha256(b'ig_digest').hexdigest()}"},
            {"name": "narrow", "key": "ig_narrow", "models": ["s*"]},
            {"name": "slow", "key": "ig_slow", "requests_per_minute": 1},
            {"name": "few", "key": "ig_few", "images_per_minute": 6},
        ]
    },
    "providers": {"draw": {"type": "sketch"}},
    "models": {
        "sketch": {
            "aliases": ["gpt-image-*", "drawing", "org/drawing"],
            "routes": [{"provider": "draw", "model": "s"}],
        },
        "other": {"routes": [{"provider": "draw", "model": "s"}]},
    },
    "default_model": "sketch",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(settings_of(tmp_path_factory.mktemp("door"), KEYED)) as url:
        yield url


def post(base: str, body: Any, *, key: str = "ig_plain", query: str = "", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
    return httpx.post(f"{base}/images/generations{query}", content=content, headers=given, timeout=60)


def refused(response: httpx.Response, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    """The error, after checking what every error has."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize("key", ["ig_plain", "ig_digest"])
def test_a_key_opens_the_door_by_either_header(base: str, key: str) -> None:
    assert post(base, {"prompt": "a"}, key=key, query="?dryRun=true").status_code == 200
    response = httpx.get(f"{base}/models", headers={"api-key": key})
    assert response.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic aWdfcGxhaW4="}])
def test_without_a_right_key_it_stays_shut(base: str, headers: dict[str, str]) -> None:
    response = httpx.post(f"{base}/images/generations?api_key=ig_plain&api-key=ig_plain", headers=headers, json={})
    assert refused(response, 401, "invalid_api_key")["type"] == "authentication_error"
    refused(httpx.get(f"{base}/models", headers=headers), 401, "invalid_api_key")


def test_the_digest_of_a_key_is_not_the_key(base: str) -> None:
    digest = hashlib.sha256(b"ig_digest").hexdigest()
    for guess in (digest, f"sha256:{digest}"):
        refused(post(base, {"prompt": "a"}, key=guess), 401, "invalid_api_key")


def test_a_key_uses_the_models_it_may(base: str) -> None:
    assert post(base, {"prompt": "a", "model": "sketch"}, key="ig_narrow", query="?dryRun=1").status_code == 200
    error = refused(post(base, {"prompt": "a", "model": "other"}, key="ig_narrow"), 403, "model_not_allowed", "model")
    assert error["type"] == "permission_error"
    listed = httpx.get(f"{base}/models", headers={"api-key": "ig_narrow"}).json()["data"]
    assert "other" not in {model["id"] for model in listed}


def test_a_limited_key_is_told_when_to_come_back(base: str) -> None:
    first = post(base, {"prompt": "a", "size": "32x32"}, key="ig_slow")
    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    second = post(base, {"prompt": "a", "size": "32x32"}, key="ig_slow")
    error = refused(second, 429, "rate_limit_exceeded")
    assert error["type"] == "rate_limit_error"
    assert second.headers["x-should-retry"] == "true"
    assert second.headers["x-ratelimit-remaining-requests"] == "0"
    assert 1 <= int(second.headers["retry-after"]) <= 60


def test_what_a_keys_minute_never_allows_is_not_to_be_tried_again(base: str) -> None:
    answer = post(base, {"prompt": "a", "size": "32x32", "n": 7}, key="ig_few")
    error = refused(answer, 429, "rate_limit_exceeded")
    assert error["message"] == "this key may ask for 6 pictures a minute; ask for fewer"
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"prompt": NaN}', "invalid_json", None),
        (b'{"prompt": "\xff"}', "invalid_json", None),
        (b'{"prompt": "\\ud800"}', "invalid_json", None),
        (b"[" * 100_000, "invalid_json", None),
        (b'{"a":' * 50_000, "invalid_json", None),
        ([], "invalid_type", None),
        (None, "invalid_type", None),
        ("text", "invalid_type", None),
        (7, "invalid_type", None),
        ({}, "missing_required_parameter", "prompt"),
        ({"prompt": None}, "missing_required_parameter", "prompt"),
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"prompt": "x" * 32_001}, "invalid_value", "prompt"),
        ({"prompt": ["a"]}, "invalid_type", "prompt"),
        ({"prompt": "a", "model": 5}, "invalid_type", "model"),
        ({"prompt": "a", "n": 0}, "invalid_value", "n"),
        ({"prompt": "a", "n": 11}, "invalid_value", "n"),
        ({"prompt": "a", "n": True}, "invalid_type", "n"),
        ({"prompt": "a", "n": {}}, "invalid_type", "n"),
        ({"prompt": "a", "size": "1024*1024"}, "invalid_value", "size"),
        ({"prompt": "a", "size": "0x5"}, "invalid_value", "size"),
        ({"prompt": "a", "size": "14143x1"}, "invalid_value", "size"),
        ({"prompt": "a", "size": "14142x14142"}, "invalid_value", "size"),
        ({"prompt": "a", "aspect_ratio": "0:1"}, "invalid_value", "aspect_ratio"),
        ({"prompt": "a", "aspect_ratio": "match_input_image"}, "invalid_value", "aspect_ratio"),
        ({"prompt": "a", "resolution": "-1K"}, "invalid_value", "resolution"),
        ({"prompt": "a", "width": 512}, "missing_required_parameter", "height"),
        ({"prompt": "a", "seed": -2}, "invalid_value", "seed"),
        ({"prompt": "a", "seed": 1.5}, "invalid_type", "seed"),
        ({"prompt": "a", "output_format": "tiff"}, "invalid_value", "output_format"),
        ({"prompt": "a", "output_compression": 101}, "invalid_value", "output_compression"),
        ({"prompt": "a", "quality": "best"}, "invalid_value", "quality"),
        ({"prompt": "a", "response_format": "file"}, "invalid_value", "response_format"),
        ({"prompt": "a", "strength": 0}, "invalid_value", "strength"),
        ({"prompt": "a", "webhook_url": "https://example.com"}, "invalid_value", "webhook_url"),
        ({"prompt": "a", "provider_options": {"image": {"nope": 1}}}, "invalid_value", "provider_options.image.nope"),
        ({"prompt": "a", "provider_options": {"nobody": {}}}, "invalid_value", "provider_options.nobody"),
        ({"prompt": "a", "provider_options": []}, "invalid_type", "provider_options"),
        ({"prompt": "a", "deep": json.loads("[" * 80 + "]" * 80)}, "invalid_value", "deep"),
    ],
)
def test_bad_input_is_a_400_that_names_the_parameter(base: str, body: Any, code: str, param: str | None) -> None:
    error = refused(post(base, body), 400, code, param)
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 600


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_100_megabytes_is_a_413(base: str, declared: bool) -> None:
    chunk = b" " * 1_000_000

    def body() -> Iterator[bytes]:
        for _ in range(100):
            yield chunk

    headers = {"authorization": "Bearer ig_plain"} | ({"content-length": "100000000"} if declared else {})
    response = httpx.post(f"{base}/images/generations", content=body(), headers=headers, timeout=60)
    refused(response, 413, "request_too_large")


def test_an_unknown_model_is_a_404_with_the_nearest_names(base: str) -> None:
    error = refused(post(base, {"prompt": "a", "model": "skech"}), 404, "model_not_found", "model")
    assert "sketch" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/images/generations", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/images/files/..%2f..%2fimagegate.sqlite3?exp=99999999999&sig=a", 404, "not_found"),
        ("GET", "/v1/images/files/0123456789abcdef0123456789abcdef.png", 404, "not_found"),
    ],
)
def test_what_is_not_there_is_json_too(base: str, method: str, path: str, status: int, code: str) -> None:
    response = httpx.request(method, f"{base.removesuffix('/v1')}{path}")
    refused(response, status, code)


def test_models_are_listed_found_and_described(base: str) -> None:
    client = openai.OpenAI(base_url=base, api_key="ig_plain", max_retries=0)
    listed = {model.id: model for model in client.models.list()}
    assert set(listed) == {"sketch", "other", "drawing", "org/drawing"}
    assert listed["drawing"].alias_of == "sketch"  # type: ignore[attr-defined]
    assert client.models.retrieve("org/drawing").id == "org/drawing"
    raw = httpx.get(f"{base}/models/org/drawing", headers={"api-key": "ig_plain"}).json()
    assert raw["id"] == "org/drawing"
    assert raw["capabilities"]["routes"][0]["provider"] == "draw"
    schema = httpx.get(f"{base}/models/sketch?schema=true", headers={"api-key": "ig_plain"}).json()["schema"]
    assert {"prompt", "size", "seed"} <= set(schema["properties"])
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/knows")


def test_a_provider_can_be_forced_by_its_name(base: str) -> None:
    shown = post(base, {"prompt": "a", "model": "draw/other"}, query="?dryRun=true").json()
    assert (shown["model"], shown["provider"]) == ("other", "draw")
    refused(post(base, {"prompt": "a", "model": "draw/nothing"}), 404, "model_not_found", "model")


def test_azures_spelling_is_the_same_door(base: str) -> None:
    url = f"{base.removesuffix('/v1')}/openai/deployments/sketch/images/generations?api-version=2025-04-01-preview"
    answer = httpx.post(url, json={"prompt": "a", "size": "32x32"}, headers={"api-key": "ig_plain"}, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["metadata"]["model"] == "sketch"
    azure = openai.AzureOpenAI(
        azure_endpoint=base.removesuffix("/v1"), api_key="ig_plain", api_version="2025-04-01-preview", max_retries=0
    )
    assert azure.images.generate(prompt="a", model="gpt-image-1", size="32x32").data[0].b64_json  # type: ignore[index]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/health/liveness", "/health/liveliness", "/health/readiness"])
def test_health_needs_no_key(base: str, path: str) -> None:
    assert httpx.get(f"{base.removesuffix('/v1')}{path}").status_code == 200


def test_a_hosted_picture_is_served_as_a_picture_and_nothing_else(base: str) -> None:
    answer = post(base, {"prompt": "a", "size": "64x64", "output_format": "webp"}).json()
    url = answer["data"][0]["url"]
    assert url.startswith(base)
    response = httpx.get(url)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["content-disposition"].endswith('.webp"')
    assert int(response.headers["content-length"]) == len(response.content)
    head = httpx.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(response.content)))
    for tampered in (url[:-1] + ("A" if url[-1] != "A" else "B"), url.replace("exp=", "exp=9"), url.split("?")[0]):
        refused(httpx.get(tampered), 404, "not_found")


@pytest.mark.parametrize(
    ("model", "key"), [("gpt-image-1", "b64_json"), ("gpt-image-2", "b64_json"), ("sketch", "url"), (None, "url")]
)
def test_the_delivery_that_nobody_named_follows_the_name_asked_for(base: str, model: str | None, key: str) -> None:
    (item,) = post(base, {"prompt": "a", "size": "32x32", "model": model}).json()["data"]
    assert ("url" in item, "b64_json" in item) == (key == "url", key == "b64_json")


def test_strict_refuses_what_would_be_degraded_and_nothing_else(base: str) -> None:
    body = {"prompt": "a", "size": "32x32", "negative_prompt": "dogs"}
    assert post(base, body).status_code == 200
    error = refused(post(base, body, **{"x-imagegate-strict": "true"}), 400, "unsupported_parameter", "negative_prompt")
    assert "strict" in error["message"]
    fine = post(
        base, {"prompt": "a", "size": "32x32", "user": "u", "quality": "auto"}, **{"x-imagegate-strict": "true"}
    )
    assert fine.status_code == 200


def test_what_is_degraded_stands_in_the_header(base: str) -> None:
    answer = post(base, {"prompt": "a", "size": "32x32", "negative_prompt": "dogs", "steps": 20})
    assert set(answer.headers["x-imagegate-degraded"].split(",")) == {"negative_prompt", "steps"}
    notes = {entry["name"] for entry in answer.json()["metadata"]["parameters"] if "note" in entry}
    assert notes == {"negative_prompt", "steps"}


def test_a_page_of_an_allowed_origin_may_call_and_read_even_what_is_refused(base: str) -> None:
    origin = {"origin": "https://app.example"}
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    preflight = httpx.options(f"{base}/images/generations", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert preflight.headers["x-request-id"].startswith("req_")
    response = httpx.post(f"{base}/images/generations", headers=origin, json={})
    refused(response, 401, "invalid_api_key")
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-request-id" in response.headers["access-control-expose-headers"]
    other = httpx.post(f"{base}/images/generations", headers={"origin": "https://evil.example"}, json={})
    assert "access-control-allow-origin" not in other.headers


def test_the_openapi_document_is_true_to_the_routes(base: str) -> None:
    from openapi_spec_validator import validate

    from gateway.app import ROUTES

    document = httpx.get(f"{base.removesuffix('/v1')}/openapi.json").json()
    validate(document)
    written = {path.replace("{model}", "{model:path}") for path in document["paths"]}
    assert written == {route.path for route in ROUTES}


def test_what_a_dry_run_answers_is_in_the_openapi_document(base: str) -> None:
    from jsonschema import Draft202012Validator

    document = httpx.get(f"{base.removesuffix('/v1')}/openapi.json").json()
    written = document["paths"]["/v1/images/generations"]["post"]["responses"]["200"]["content"]["application/json"]
    for query in ("", "?dryRun=true"):
        answer = post(base, {"prompt": "a", "size": "32x32"}, query=query).json()
        Draft202012Validator(written["schema"]).validate(answer)


def test_how_the_answer_travels_is_on_the_receipt_as_everything_that_is_said(base: str) -> None:
    said = {"prompt": "a", "size": "32x32", "response_format": "url", "stream": True, "partial_images": 2}
    plan = post(base, said, query="?dryRun=true").json()["plan"]
    assert {entry["name"] for entry in plan["parameters"]} == set(said)
    assert plan["lossless"] is True
