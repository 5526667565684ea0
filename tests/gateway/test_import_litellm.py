"""`imagegate import-litellm`: configurations as people write them for LiteLLM, and what becomes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli import main

QUICK_START = """\
model_list:
  - model_name: gpt-image-2
    litellm_params:
      model: openai/gpt-image-2
      api_key: os.environ/OPENAI_API_KEY
    model_info: {mode: image_generation}
"""

BALANCED = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: "https://eu.openai.azure.com/", api_key: os.environ/AZURE_EU}
  - model_name: picture
    litellm_params:
      model: azure/image-eu
      api_base: https://eu.openai.azure.com/
      api_key: os.environ/AZURE_EU
      api_version: 2025-04-01-preview
      rpm: 6
    model_info: {mode: image_generation, base_model: azure/gpt-image-1}
  - model_name: picture
    litellm_params:
      model: gpt-image-2
      api_key: sk-a-literal-key-of-openai
      rpm: 18
      tpm: 100000
      timeout: 300
      quality: high
    model_info: {mode: image_generation, output_cost_per_image: 0.04}
  - model_name: spare
    litellm_params: {model: xinference/flux-1-schnell, api_base: "http://10.0.0.5:9997/v1"}
    model_info: {mode: image_generation}
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {dall-e-3: picture, quick: {model: spare, hidden: true}, chat: gpt-4o}
  fallbacks: [{picture: [spare]}, {gpt-4o: [claude]}]
  num_retries: 3
  redis_host: os.environ/REDIS_HOST
litellm_settings: {drop_params: true, request_timeout: 400, success_callback: [langfuse]}
general_settings: {master_key: sk-the-master-key, database_url: "postgres://u:db-password@h/db"}
"""

SELF_HOSTED = """\
model_list:
  - model_name: flux-dev
    litellm_params: {model: hosted_vllm/black-forest-labs/FLUX.1-dev, api_base: "http://gpu-1:8000/v1", order: 2}
  - model_name: flux-dev
    litellm_params:
      model: openai/flux-dev
      api_base: http://localhost:8080/v1/
      api_key: none
      order: 1
      additional_drop_params: [user, response_format, logprobs]
      extra_headers: {Authorization: "Basic a-literal-header", X-Team: os.environ/TEAM}
  - model_name: sdxl
    litellm_params: {model: litellm_proxy/sdxl, api_base: os.environ/OTHER_PROXY, api_key: os.environ/OTHER_KEY}
    model_info: {mode: image_edit}
litellm_settings: {default_fallbacks: [sdxl]}
"""

MARKETPLACE = """\
credential_list:
  - credential_name: lumenfall
    credential_values: {api_base: "https://api.lumenfall.ai/openai/v1", api_key: os.environ/LUMENFALL_API_KEY}
model_list:
  - model_name: flux-2-max
    litellm_params: {model: openai/flux.2-max, litellm_credential_name: lumenfall}
  - model_name: kontext
    litellm_params:
      model: openai/black-forest-labs/flux-kontext-max/text-to-image
      api_base: https://api.umodelverse.ai/v1
      api_key: os.environ/MODELVERSE_API_KEY
  - model_name: recraft-v3
    litellm_params: {model: recraft/recraftv3, api_key: os.environ/RECRAFT_API_KEY}
  - model_name: grok-image
    litellm_params: {model: xai/grok-2-image-1212}
  - model_name: qwen-image
    litellm_params: {model: deepinfra/Qwen/Qwen-Image, input_cost_per_pixel: 1.9e-8}
router_settings: {routing_strategy: latency-based-routing}
"""

EVERYWHERE = """\
model_list:
  - {model_name: imagen, litellm_params: {model: vertex_ai/imagen-4, vertex_project: p}}
  - {model_name: banana, litellm_params: {model: gemini/gemini-2.5-flash-image}}
  - {model_name: pro, litellm_params: {model: black_forest_labs/flux-pro-1.1}}
  - {model_name: ultra, litellm_params: {model: fal_ai/fal-ai/flux-pro/v1.1-ultra}}
  - {model_name: sd3, litellm_params: {model: stability/sd3.5-large}}
  - {model_name: titan, litellm_params: {model: bedrock/amazon.titan-image-generator-v2:0}}
  - {model_name: schnell, litellm_params: {model: together_ai/black-forest-labs/FLUX.1-schnell}}
  - {model_name: "*", litellm_params: {model: "openai/gpt-image-*"}}
  - {model_name: mine, litellm_params: {model: openai/flux, api_base: "https://user:a-password@host/v1"}}
  - {model_name: keyed, litellm_params: {model: openai/flux, api_base: "https://host/v1?key=a-query-key"}}
  - {model_name: dall-e-3, litellm_params: {model: dall-e-3}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5}}
  - {model_name: vectors, litellm_params: {model: voyage/voyage-image-embed}}
"""

CHEAPEST = """\
model_list:
  - model_name: poster
    litellm_params: {model: nebius/black-forest-labs/flux-dev, input_cost_per_image: 0.007}
  - model_name: poster
    litellm_params: {model: nscale/stabilityai/stable-diffusion-xl-base-1.0, api_key: a-literal-key-of-nscale}
    model_info: {mode: image_generation, output_cost_per_image: 0.003, input_cost_per_token: 0.1, team_id: red}
router_settings: {routing_strategy: cost-based-routing, timeout: 90}
"""

SAMPLES = {
    "quick-start": QUICK_START,
    "balanced": BALANCED,
    "self-hosted": SELF_HOSTED,
    "marketplace": MARKETPLACE,
    "everywhere": EVERYWHERE,
    "cheapest": CHEAPEST,
}
LITERALS = (
    "sk-a-literal-key-of-openai",
    "sk-the-master-key",
    "db-password",
    "a-literal-header",
    "a-password",
    "a-query-key",
    "a-literal-key-of-nscale",
)


@pytest.fixture(params=SAMPLES, ids=str)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return written(tmp_path, SAMPLES[request.param])


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def translated(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """The configuration as data, and what was said on stderr."""
    assert main(["import-litellm", str(written(folder, text))]) == 0
    out, err = capsys.readouterr()
    return yaml.safe_load(out), err


def test_every_translation_passes_the_check(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "imagegate.yaml"
    assert main(["import-litellm", str(sample), "-o", str(output)]) == 0
    for name in re.findall(r"\$\{(\w+)\}", output.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "http://stand-in.example" if name in ("OTHER_PROXY", "AZURE_API_BASE") else name)
    assert main(["check", "--config", str(output)]) == 0
    assert "warning" not in capsys.readouterr().err.lower()


def test_no_literal_secret_is_in_anything_that_is_said(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["import-litellm", str(sample)], ["import-litellm", "--json", str(sample)]):
        assert main(argv) == 0
        out, err = capsys.readouterr()
        assert not [secret for secret in LITERALS if secret in out + err]


def test_what_is_said_on_stderr_stands_in_the_file_too(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-litellm", str(sample)]) == 0
    out, err = capsys.readouterr()
    told = [line.split(": ", 2)[-1] if line.startswith(str(sample)) else line for line in err.splitlines()]
    assert told
    assert all(line in out for line in told)


def test_a_key_that_stood_in_the_file_becomes_a_variable_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, BALANCED, capsys)
    assert config["providers"]["openai"]["api_key"] == "${OPENAI_API_KEY}"
    assert config["auth"]["keys"] == [{"name": "litellm-master", "key": "${LITELLM_MASTER_KEY}"}]
    assert "for you to set: OPENAI_API_KEY, LITELLM_MASTER_KEY" in err


def test_a_made_variable_never_takes_the_name_of_one_that_means_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = QUICK_START + (
        "  - {model_name: b, litellm_params: {model: openai/dall-e-3, api_key: sk-another}}\n"
        "  - {model_name: c, litellm_params: {model: openai/dall-e-2, api_key: sk-another}}\n"
    )
    config, _ = translated(tmp_path, text, capsys)
    assert [entry["api_key"] for entry in config["providers"].values()] == ["${OPENAI_API_KEY}", "${OPENAI_API_KEY_2}"]


def test_entries_of_one_name_are_routes_that_share_the_traffic_and_fallbacks_come_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = translated(tmp_path, BALANCED, capsys)
    picture = config["models"]["picture"]
    assert picture["strategy"] == "weighted"
    assert [(route["provider"], route["model"], route["weight"]) for route in picture["routes"]] == [
        ("azure", "image-eu", 6),
        ("openai", "gpt-image-2", 18),
        ("xinference", "flux-1-schnell", 0),
    ]
    assert picture["aliases"] == ["dall-e-3"]
    assert list(config["models"]) == ["picture", "spare"]


def test_limits_prices_timeouts_and_defaults_of_an_entry_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, BALANCED, capsys)
    azure, openai = config["providers"]["azure"], config["providers"]["openai"]
    assert azure["base_url"] == "https://eu.openai.azure.com/openai/v1"
    assert (azure["profile"], azure["requests_per_minute"], azure["timeout_seconds"]) == ("gpt-image", 6, 400)
    assert openai["requests_per_minute"] == 18
    route = config["models"]["picture"]["routes"][1]
    assert (route["price"], route["defaults"]) == ({"usd_per_image": 0.04}, {"quality": "high"})
    assert route["timeout_seconds"] == 300
    assert config["limits"] == {"retries": 3}
    assert "tpm: no counterpart" in err


def test_what_has_no_counterpart_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = translated(tmp_path, BALANCED, capsys)
    for key, said in (
        ("litellm_params:", "model_list[1].litellm_params (picture): api_version"),
        ("model_group_alias:", "router_settings.model_group_alias.quick: is hidden"),
        ("router_settings:", "router_settings: redis_host: not translated"),
        ("litellm_settings:", "litellm_settings: success_callback: not translated"),
        ("general_settings:", "general_settings: database_url: not translated"),
    ):
        found = re.search(rf"config\.yaml:(\d+): {re.escape(said)}", err)
        assert found, said
        assert key in BALANCED.splitlines()[int(found[1]) - 1]
    assert "left out, because they are no image models: 1" in err


def test_order_decides_where_it_is_said_and_servers_without_keys_stay_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, SELF_HOSTED, capsys)
    flux = config["models"]["flux-dev"]
    assert "strategy" not in flux
    assert [route["provider"] for route in flux["routes"]] == ["local", "hosted_vllm", "litellm_proxy"]
    local = config["providers"]["local"]
    assert "api_key" not in local
    assert (local["base_url"], local["drop"]) == ("http://localhost:8080/v1", ["user"])
    assert local["headers"] == {"Authorization": "${LOCAL_AUTHORIZATION}", "X-Team": "${TEAM}"}
    assert config["providers"]["litellm_proxy"]["base_url"] == "${OTHER_PROXY}"
    assert "auth" not in config
    assert "logprobs cannot be dropped by name" in err


def test_providers_are_reached_at_their_own_addresses_and_by_their_own_adapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = translated(tmp_path, MARKETPLACE, capsys)
    providers = config["providers"]
    assert providers["lumenfall"] == {
        "type": "openai",
        "base_url": "https://api.lumenfall.ai/openai/v1",
        "api_key": "${LUMENFALL_API_KEY}",
    }
    assert providers["modelverse"] == {"type": "modelverse", "api_key": "${MODELVERSE_API_KEY}"}
    assert providers["recraft"]["base_url"] == "https://external.api.recraft.ai/v1"
    assert providers["xai"]["api_key"] == "${XAI_API_KEY}"
    assert providers["xai"]["drop"] == ["size", "quality", "style"]
    assert config["models"]["qwen-image"]["routes"][0]["price"] == {"usd_per_megapixel": 0.019922944}


def test_what_cannot_be_reached_is_listed_with_its_reason_and_never_translated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, EVERYWHERE, capsys)
    assert list(config["models"]) == ["dall-e-3"]
    for index, name, reason in (
        (0, "imagen", "Google's own API"),
        (1, "banana", "Google's own API"),
        (2, "pro", "apiframe and onemin make flux-2-max"),
        (3, "ultra", "an API of its own"),
        (4, "sd3", "an API of its own"),
        (5, "titan", "AWS signatures"),
        (6, "schnell", "width and height instead of size"),
        (7, "*", "wildcard"),
        (8, "mine", "credentials"),
        (9, "keyed", "a query"),
    ):
        assert re.search(rf"model_list\[{index}\] \({re.escape(name)}\): .*{re.escape(reason)}", err), name
    assert "left out, because they are no image models: 2" in err


def test_a_price_counts_for_made_pictures_and_the_cheapest_goes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, CHEAPEST, capsys)
    poster = config["models"]["poster"]
    assert poster["strategy"] == "cheapest"
    assert [route["price"] for route in poster["routes"]] == [{"usd_per_image": 0.007}, {"usd_per_image": 0.003}]
    assert config["providers"]["nebius"]["timeout_seconds"] == 90
    assert "input_cost_per_token: no counterpart" in err
    assert "team_id: no counterpart" in err


def test_json_holds_the_same_configuration_and_each_note_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = translated(tmp_path, BALANCED, capsys)
    assert main(["import-litellm", "--json", str(tmp_path / "config.yaml")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["config"] == config
    assert {"kind", "line", "where", "note"} == set(told["notes"][0])
    assert {note["where"] for note in told["notes"]} >= {"model_list[1]", "general_settings.master_key"}


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = written(tmp_path, QUICK_START), tmp_path / "there.yaml"
    output.write_text("mine", encoding="utf-8")
    assert main(["import-litellm", str(path), "-o", str(output)]) == 2
    assert output.read_text(encoding="utf-8") == "mine"
    assert "is not overwritten" in capsys.readouterr().err


def test_without_any_image_model_nothing_is_written_and_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "model_list: [{model_name: a, litellm_params: {model: gemini/imagen-4}}]\n")
    assert main(["import-litellm", str(path), "-o", str(tmp_path / "out.yaml")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Google's own API" in err
    assert "no image model that could be translated" in err
    assert not (tmp_path / "out.yaml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("general_settings: {}\n", "config.yaml:1: model_list: missing; accepted: a list of entries"),
        (
            "model_list:\n  - model_name: a\n",
            "config.yaml:2: model_list[0].litellm_params: missing; accepted: a mapping",
        ),
        (
            "model_list:\n  - litellm_params:\n      model: openai/flux\n",
            "config.yaml:2: model_list[0].model_name: missing",
        ),
        (
            "model_list:\n  - model_name: a\n    litellm_params:\n      model: 3\n",
            "config.yaml:4: model_list[0].litellm_params.model: not text; accepted: PROVIDER/MODEL",
        ),
        (
            "model_list: []\nrouter_settings:\n  fallbacks: {a: b}\n",
            "config.yaml:3: router_settings.fallbacks: not a list",
        ),
        ("model_list: []\nrouter_settings: 3\n", "config.yaml:2: router_settings: not a mapping"),
        ("model_list: [\n", "config.yaml:2: not YAML"),
        ("", "config.yaml:1: the file is empty; accepted: a mapping with model_list"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_key(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-litellm", str(written(tmp_path, text))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
