"""`imagegate import-litellm` on what is odd, half said or wrong in places: it is named, and the rest is translated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli import main

HEAD = "model_list:\n"
PLAIN = "  - {model_name: a, litellm_params: {model: openai/gpt-image-2}}\n"


def entry(name: str, **params: Any) -> str:
    """One entry of model_list, on one line."""
    held = {"model_name": name, "litellm_params": {"model": "openai/gpt-image-2", **params}}
    return f"  - {yaml.safe_dump(held, default_flow_style=True, width=10_000).strip()}\n"


def translated(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    assert main(["import-litellm", str(path)]) == 0
    out, err = capsys.readouterr()
    return yaml.safe_load(out), err


@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
def test_repeats_are_told_where_they_stand(tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str) -> None:
    other = "litellm_settings" if section == "router_settings" else "router_settings"
    text = f"{HEAD}{PLAIN}{other}: {{}}\n{section}: {{num_retries: 3}}\n"
    config, err = translated(tmp_path, text, capsys)
    assert config["limits"] == {"retries": 3}
    assert f"config.yaml:4: {section}.num_retries: became limits.retries" in err


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"timeout": "soon"}, "litellm_params.timeout (a): not a number of seconds: left out"),
        ({"rpm": 0}, "litellm_params.rpm (a): not a whole number of at least 1: left out"),
        ({"rpm": 1.5}, "litellm_params.rpm (a): not a whole number of at least 1: left out"),
        ({"headers": ["X-A"]}, "litellm_params.headers (a): not a mapping of headers: left out"),
        ({"extra_headers": {"Content-Type": "application/json"}}, "the gateway's own to set: left out"),
        ({"output_cost_per_image": "cheap"}, "the price is not a number of US dollars: left out"),
        ({"output_cost_per_image": -1}, "the price is not a number of US dollars: left out"),
        ({"quality": "superb"}, "litellm_params.quality (a): cannot be used as a default; accepted:"),
        ({"tags": ["free"], "extra_body": {}}, "litellm_params (a): extra_body, tags: no counterpart, left out"),
        ({"api_base": "http://10.0.0.9/v1"}, "no api_key: LiteLLM would send OPENAI_API_KEY to that server"),
    ],
)
def test_what_cannot_be_used_is_named_and_left_out(
    params: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, HEAD + entry("a", **params), capsys)
    assert said in err
    (route,) = config["models"]["a"]["routes"]
    assert set(route) == {"provider", "model"}
    assert not {"headers", "requests_per_minute"} & set(config["providers"][route["provider"]])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"api_base": "ftp://host/v1"}, "api_base is no http(s) address"),
        ({"api_base": "http://host:port/v1"}, "api_base is no http(s) address"),
        ({"api_base": 8000}, "api_base is not text"),
        ({"model": "azure/image", "api_base": "https://gateway.example/azure"}, "no resource of Azure"),
        (
            {"model": "azure/image", "api_base": "https://x.openai.azure.com/openai/deployments/image"},
            "give the resource's address alone",
        ),
        ({"model": "my-flux", "api_base": "http://host/v1"}, "no provider is named"),
        ({"model": "acme/flux"}, "no adapter for this provider of LiteLLM"),
        ({"model": "openai/gpt-image-*"}, "a wildcard stands for models"),
    ],
)
def test_an_address_that_cannot_be_told_is_not_guessed(
    params: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, err = translated(tmp_path, HEAD + PLAIN + entry("flux", **params), capsys)
    assert list(config["models"]) == ["a"]
    assert said in err


@pytest.mark.parametrize(
    ("params", "provider", "address"),
    [
        ({"api_base": "https://api.openai.com/v1/"}, "openai", "https://api.openai.com/v1"),
        ({"api_base": "http://[::1]:9/v1"}, "local", "http://[::1]:9/v1"),
        ({"api_base": "http://10.0.0.9/v1"}, "openai-10.0.0.9", "http://10.0.0.9/v1"),
        ({"api_base": "http://image/v1"}, "image-provider", "http://image/v1"),
        ({"api_base": "os.environ/MINE"}, "openai-compatible", "${MINE}"),
        ({"api_base": "http://host/v1/images/generations"}, "host", "http://host/v1"),
        ({"model": "azure/gpt-image-2"}, "azure", "${AZURE_API_BASE}/openai/v1"),
        (
            {"model": "azure/gpt-image-2", "api_base": "https://x.openai.azure.com/openai/v1"},
            "azure",
            "https://x.openai.azure.com/openai/v1",
        ),
        ({"model": "gpt-image-2", "custom_llm_provider": "xinference"}, "xinference", "http://127.0.0.1:9997/v1"),
    ],
)
def test_a_provider_is_called_after_its_host_and_reached_at_its_base(
    params: dict[str, Any], provider: str, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = translated(tmp_path, HEAD + entry("a", **params), capsys)
    (name,) = config["providers"]
    assert name == provider
    assert address in config["providers"][name]["base_url"]


def test_limits_of_an_entry_are_its_own_where_everything_else_is_shared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        HEAD + entry("a", max_parallel_requests=4) + entry("b", max_parallel_requests=4) + PLAIN.replace("2}}", "1}}")
    )
    config, _ = translated(tmp_path, text, capsys)
    assert {name: entry.get("max_concurrent") for name, entry in config["providers"].items()} == {
        "openai": 4,
        "openai-2": None,
    }


def test_a_limit_or_a_wait_may_come_from_the_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD + entry("a", rpm="os.environ/RPM", timeout="os.environ/WAIT", organization="org-1")
    config, err = translated(tmp_path, text, capsys)
    provider = config["providers"]["openai"]
    assert provider["requests_per_minute"] == "${RPM}"
    assert provider["headers"] == {"OpenAI-Organization": "${OPENAI_ORGANIZATION}"}
    assert config["models"]["a"]["routes"][0]["timeout_seconds"] == "${WAIT}"
    assert "org-1" not in err


def test_fallbacks_are_not_drawn_in_by_a_strategy_that_looks_at_all_routes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        f"{HEAD}{entry('a')}{entry('a', api_base='http://one/v1')}{entry('b', api_base='http://two/v1')}"
        "router_settings: {routing_strategy: latency-based-routing}\n"
        "litellm_settings: {fallbacks: [{a: [b, gone]}], num_retries: many, drop_params: false}\n"
    )
    config, err = translated(tmp_path, text, capsys)
    assert config["models"]["a"]["strategy"] == "weighted"
    assert [route.get("weight") for route in config["models"]["a"]["routes"]] == [None, None, 0]
    assert "would draw the fallbacks" in err
    assert '"a": gone was not translated' in err
    assert "normalization.strict: true refuses instead" in err
    assert "limits" not in config


def test_aliases_that_cannot_be_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        f"{HEAD}{PLAIN}{entry('b', api_base='http://two/v1')}{entry('c', model='gemini/imagen-4')}"
        "router_settings: {model_group_alias: {a: b, other: c, nice: b}}\n"
    )
    config, err = translated(tmp_path, text, capsys)
    assert config["models"]["b"]["aliases"] == ["nice"]
    assert "model_group_alias.a: left out: a model of that name is there" in err
    assert 'model_group_alias.other: left out: "c" was not translated' in err


def test_sections_that_are_not_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"include: [more.yaml]\n{HEAD}{PLAIN}guardrails: []\nlitellm_settings: {{request_timeout: soon}}\n"
    _, err = translated(tmp_path, text, capsys)
    assert "include: not translated; translate the files that it names one by one" in err
    assert "guardrails: not translated" in err
    assert "request_timeout: not a number of seconds: left out" in err


def test_settings_of_the_router_and_the_environment_are_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "environment_variables: {OPENAI_API_KEY: sk-in-the-file}\n"
        f"{HEAD}{entry('a')}{entry('a', api_base='http://one/v1')}{entry('b')}{entry('b', api_base='http://one/v1')}"
        "router_settings: {routing_strategy: least-busy, timeout: '600'}\n"
    )
    config, err = translated(tmp_path, text, capsys)
    assert err.count('no counterpart for "least-busy"') == 1
    assert config["models"]["b"]["strategy"] == "weighted"
    assert "router_settings.timeout: a client has its answer after server.deadline_seconds (570)" in err
    assert {provider["timeout_seconds"] for provider in config["providers"].values()} == {600}
    assert "set these in the environment of imagegate: OPENAI_API_KEY" in err
    assert "sk-in-the-file" not in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [3]\n", "model_list[0]: not a mapping"),
        (f"{HEAD}{PLAIN}router_settings: {{model_group_alias: [a]}}\n", "model_group_alias: not a mapping"),
        (f"{HEAD}  - {{model_name: a, litellm_params: {{model: b}}, model_info: 3}}\n", "model_info: not a mapping"),
        (f"{HEAD}{PLAIN}model_list: []\n", "the key stands here and on line 1"),
    ],
)
def test_a_part_of_the_wrong_kind_is_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    assert main(["import-litellm", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_what_would_not_pass_the_check_is_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + entry("a\tb"), encoding="utf-8")
    assert main(["import-litellm", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "the translation cannot be used" in err


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "config.yaml", tmp_path / "out.yaml"
    path.write_text(HEAD + PLAIN, encoding="utf-8")
    output.write_text("mine", encoding="utf-8")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert main(["import-litellm", str(path), "-o", str(output)]) == 2
    monkeypatch.undo()
    assert output.read_text(encoding="utf-8") == "mine"
