"""What the operator is shown: the configuration in force without its secrets, and what is not in force."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.config import effective, embedded, load, warnings
from gateway.config.limits import NOT_YET, Limits
from tests.configurations import GOOD, loaded
from tests.kinds import KINDS

SECRET = "s3cr3t-canary"
ROOT = Path(__file__).parents[2]
EXAMPLE = Path(__file__).with_name("example.yaml")
VARIABLES = [line.split("${")[1].split("}")[0] for line in EXAMPLE.read_text().splitlines() if "${" in line]


def warned(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    return warnings(loaded(tmp_path, text, environ), adapters=KINDS)


def test_the_effective_configuration_says_of_each_secret_only_whether_it_is_set(tmp_path: Path) -> None:
    text = """\
auth: {admin_key: "${A}", keys: [{name: team, key: "${B}"}]}
storage: {signing_key: "${C}"}
providers:
  o: {type: openai, base_url: https://api.example/v1, api_key: "${D}", headers: {X-Token: "${E}"}}
  a: {type: apiframe}
models:
  m: {routes: [{provider: o, model: x, price: {usd_per_image: 0.07}}]}
"""
    settings = loaded(tmp_path, text, {name: f"{SECRET}-{name}" for name in "ABCDE"})
    shown = effective(settings, adapters=KINDS)
    assert SECRET not in json.dumps(shown) + repr(settings) + str(settings)
    assert (shown["auth"]["admin_key"], shown["auth"]["keys"][0]["key"]) == ("set", "set")
    assert shown["storage"]["signing_key"] == "set"
    assert (shown["providers"]["o"]["api_key"], shown["providers"]["o"]["headers"]) == ("set", {"X-Token": "set"})
    assert shown["providers"]["a"]["api_key"] == "unset"
    assert shown["models"]["m"]["routes"][0]["price"]["usd_per_image"] == 0.07


def test_the_effective_configuration_holds_every_default(tmp_path: Path) -> None:
    shown = effective(loaded(tmp_path, GOOD), adapters=KINDS)
    assert shown["default_model"] == "picture"
    assert shown["server"]["deadline_seconds"] == 570
    assert shown["server"]["data_dir"] == "imagegate-data"
    assert shown["limits"]["json_body_bytes"] == 96 * 2**20
    assert (shown["auth"]["mode"], shown["auth"]["admin_key"]) == ("none", "unset")


def test_a_provider_is_shown_with_the_keys_of_its_type_and_its_public_address() -> None:
    shown = effective(embedded({"APIFRAME_API_KEY": "k"}, adapters=KINDS), adapters=KINDS)["providers"]
    assert shown["apiframe"]["base_url"] == "https://api.apiframe.ai"
    assert "poll_seconds" in shown["apiframe"]
    assert "poll_seconds" not in shown["sketch"]
    assert "rename" not in shown["apiframe"]
    assert shown["sketch"]["base_url"] is None


def test_an_ordinary_configuration_warns_of_nothing(tmp_path: Path) -> None:
    assert warned(tmp_path, GOOD) == []
    assert warnings(embedded({}, adapters=KINDS), adapters=KINDS) == []


def test_the_documented_example_warns_of_nothing() -> None:
    settings = load(EXAMPLE, {name: f"value-{name}" for name in VARIABLES}, adapters=KINDS)
    assert warnings(settings, adapters=KINDS) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{GOOD}limits: {{codec_queue: 5, output_megapixels: 9}}", "limits.codec_queue: not yet in force in this"),
        (
            f"{GOOD}server: {{host: 0.0.0.0}}\nauth: {{mode: none}}",
            "auth.mode: none: whoever can reach 0.0.0.0 can spend on every provider; add auth.keys to ask for a key",
        ),
        (
            f"{GOOD}auth: {{mode: none, keys: [{{name: a, key: 'sha256:{'0' * 64}'}}]}}",
            "auth.mode: none: the keys under auth.keys are not asked for, and limit nobody",
        ),
        (f"{GOOD}auth: {{mode: keys}}", "auth.keys: there is none, so every request for a picture is refused"),
        (
            f"{GOOD}auth: {{keys: [{{name: a, key: 'sha256:{'0' * 64}', models: [picture, pictrue]}}]}}",
            'auth.keys[0].models[1]: no model and no alias is named "pictrue", so it lets the key use none',
        ),
        (
            f"{GOOD}storage: {{url: 's3://ours/pictures'}}",
            "storage.signing_key: there is none, so each gateway on the bucket signs with a key of its own",
        ),
        (
            f"{GOOD}auth: {{admin_key: {SECRET}}}",
            "auth.admin_key: the secret stands in the file; a variable, ${NAME}, keeps it out of backups and versions",
        ),
        (
            GOOD.replace("drawn: {type: sketch}", "drawn: {type: apiframe}"),
            "providers.drawn: no api_key, so apiframe will refuse every request",
        ),
    ],
)
def test_what_the_operator_should_know_is_said_once(tmp_path: Path, text: str, expected: str) -> None:
    said = warned(tmp_path, text)
    assert len(said) == 1
    assert said[0].startswith(expected)
    assert SECRET not in said[0]


@pytest.mark.parametrize("name", ["picture", "pic*", "*", "by alias", "gpt-image-2", "gpt-*", "drawn/any", "*/any"])
def test_a_key_s_name_that_leads_somewhere_is_not_warned_of(tmp_path: Path, name: str) -> None:
    entry = "{aliases: [by alias, 'gpt-image-*'], routes: [{provider: drawn, model: s}]}"
    key = f"{{name: a, key: 'sha256:{'0' * 64}', models: ['{name}']}}"
    assert warned(tmp_path, f"{GOOD}  another: {entry}\nauth: {{keys: [{key}]}}") == []


def test_a_secret_from_a_variable_or_a_digest_is_not_in_plain_sight(tmp_path: Path) -> None:
    text = GOOD + f'auth: {{admin_key: "${{A}}", keys: [{{name: a, key: "sha256:{"0" * 64}"}}]}}'
    assert warned(tmp_path, text, {"A": SECRET}) == []


def test_a_limit_is_in_force_or_says_that_it_is_not() -> None:
    sources = [path for path in (ROOT / "gateway").rglob("*.py") if path.parent.name != "config"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    used = {name for name in Limits.model_fields if re.search(rf"\blimits\.{name}\b", code)}
    # the two of pictures are read by way of the properties that count pixels
    used |= {f"{kind}_megapixels" for kind in ("picture", "output") if f"limits.{kind}_pixels" in code}
    assert set(Limits.model_fields) - used == NOT_YET


def test_replicas_that_share_records_and_no_pictures_are_warned_of(tmp_path: Path) -> None:
    shared = f'{GOOD}state: {{url: "redis://redis"}}\nstorage: {{signing_key: "${{K}}", url: URL}}\n'
    environ = {"K": "a1" * 32}
    for url in ("file", "memory"):
        [said] = warned(tmp_path, shared.replace("URL", url), environ)
        assert said.startswith(f"storage.url: {url}: replicas share records (state.url) but not pictures")
    assert warned(tmp_path, shared.replace("URL", "'s3://ours/pictures'"), environ) == []
