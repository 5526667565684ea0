"""`imagegate import-litellm`: configurations as people write them for LiteLLM, and what becomes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli import main
from tests.gateway.litellm_samples import (
    BALANCED,
    CHEAPEST,
    EVERYWHERE,
    LITERALS,
    MARKETPLACE,
    QUICK_START,
    SAMPLES,
    SELF_HOSTED,
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
