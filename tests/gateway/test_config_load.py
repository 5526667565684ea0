"""A configuration file, from its text to settings."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.config import load
from tests.configurations import GOOD, loaded
from tests.kinds import KINDS

EXAMPLE = Path(__file__).with_name("example.yaml")
VARIABLES = (
    "IMAGEGATE_ADMIN_KEY",
    "WEB_TEAM_KEY",
    "IMAGEGATE_SIGNING_KEY",
    "ONEMIN_API_KEY",
    "APIFRAME_API_KEY",
    "MODELVERSE_API_KEY",
    "LUMENFALL_API_KEY",
)
ENVIRON = {name: f"value-of-{name}" for name in VARIABLES}


def test_the_documented_example_means_what_it_says() -> None:
    settings = load(EXAMPLE, ENVIRON, adapters=KINDS)
    assert (settings.server.host, settings.server.port, settings.server.deadline_seconds) == ("127.0.0.1", 8000, 570)
    assert settings.auth.admin_key is not None
    assert settings.auth.admin_key.get_secret_value() == "value-of-IMAGEGATE_ADMIN_KEY"
    key = settings.auth.keys[0]
    assert key.digest == hashlib.sha256(b"value-of-WEB_TEAM_KEY").hexdigest()
    assert (key.requests_per_minute, key.images_per_minute, key.max_concurrent) == (60, 120, 20)
    assert key.budget is not None
    assert (key.budget.usd, key.budget.per, key.budget.unpriced) == (20, "month", "refuse")
    assert settings.providers["gpu"].addresses == ("http://127.0.0.1:8800",)
    model = settings.models["flux-2-max"]
    assert model.aliases == ("flux.2-max", "gpt-image-*", "dall-e-3")
    assert [route.provider for route in model.routes] == ["gpu", "apiframe", "onemin"]
    assert model.routes[1].price is not None
    assert model.routes[1].price.value.usd_per_image == Decimal("0.07")
    assert settings.default == "flux-2-max"


def test_what_a_file_leaves_out_has_the_documented_default(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD)
    assert settings.server.data_dir == Path("imagegate-data")
    assert (settings.server.max_concurrent_requests, settings.server.trusted_proxies) == (500, ())
    assert (settings.storage.url, settings.storage.url_ttl_seconds, settings.storage.retention_seconds) == (
        "file",
        3600,
        86400,
    )
    assert (settings.normalization.strict, settings.normalization.default_quality) == (False, 85)
    limits = settings.limits
    assert (limits.json_body_bytes, limits.multipart_body_bytes, limits.picture_bytes) == (
        96 * 2**20,
        200 * 2**20,
        50 * 2**20,
    )
    assert (limits.output_pixels, limits.picture_pixels) == (40 * 2**20, 33_554_432)
    assert limits.queue_wait_seconds is None
    assert settings.default == "picture"


def test_null_and_an_empty_section_mean_not_said(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f"{GOOD}server:\nauth: {{keys: null}}\nlimits: {{queue_wait_seconds: null}}\n")
    assert settings.server.port == 8000
    assert settings.auth.mode == "none"


def test_without_keys_nobody_is_asked_for_one_unless_the_file_says_so(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD).auth.mode == "none"
    assert loaded(tmp_path, GOOD).auth.mode_written is None
    assert loaded(tmp_path, f"{GOOD}auth: {{mode: keys}}").auth.mode == "keys"
    assert loaded(tmp_path, f"{GOOD}auth: {{keys: [{{name: a, key: abc}}]}}").auth.mode == "keys"


@pytest.mark.parametrize(
    ("host", "auth"), [("0.0.0.0", "{mode: none}"), ("::", "{keys: [{name: a, key: b}]}"), ("127.8.0.1", "{}")]
)
def test_a_host_beyond_loopback_takes_keys_or_a_word(tmp_path: Path, host: str, auth: str) -> None:
    assert loaded(tmp_path, f"{GOOD}server: {{host: '{host}'}}\nauth: {auth}\n").server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_known_by_its_names(tmp_path: Path, host: str) -> None:
    assert loaded(tmp_path, f"{GOOD}server: {{host: '{host}'}}").server.loopback


def test_a_key_may_be_written_as_its_digest(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"the key").hexdigest()
    auth = f"auth: {{admin_key: 'SHA256:{digest[::-1]}', keys: [{{name: a, key: 'sha256:{digest.upper()}'}}]}}"
    settings = loaded(tmp_path, GOOD + auth)
    assert settings.auth.keys[0].digest == digest
    assert settings.auth.admin_digest == digest[::-1]
    assert loaded(tmp_path, GOOD).auth.admin_digest is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${NAME}", "alpha"),
        ("${NAME}-${OTHER}", "alpha-beta"),
        ("${MISSING:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${NAME:-fallback}", "alpha"),
        ("os.environ/NAME", "alpha"),
        ("not os.environ/NAME", "not os.environ/NAME"),
        ("$NAME", "$NAME"),
        ("$${NAME}", "${NAME}"),
        ("a$${b}${NAME}", "a${b}alpha"),
        ("${LOOKS_LIKE_ONE}", "${NAME}"),
        ("${MISSING:-os.environ/NAME}", "os.environ/NAME"),
    ],
)
def test_variables_are_filled_in_once(tmp_path: Path, written: str, expected: str) -> None:
    environ = {"NAME": "alpha", "OTHER": "beta", "EMPTY": "", "LOOKS_LIKE_ONE": "${NAME}"}
    text = GOOD.replace("picture:", f"picture: {{aliases: ['{written}'], routes: [{{provider: drawn, model: s}}]}} #")
    assert loaded(tmp_path, text, environ).models["picture"].aliases == (expected,)


def test_variables_stand_in_values_alone(tmp_path: Path) -> None:
    assert "${NAME}" in loaded(tmp_path, GOOD.replace("picture", '"${NAME}"'), {"NAME": "x"}).models


def test_a_variable_may_hold_a_number_or_a_switch(tmp_path: Path) -> None:
    text = GOOD + 'server: {port: "${PORT}"}\nnormalization: {strict: "${STRICT}"}\n'
    settings = loaded(tmp_path, text, {"PORT": "9000", "STRICT": "TRUE"})
    assert (settings.server.port, settings.normalization.strict) == (9000, True)


def test_an_empty_variable_leaves_an_optional_secret_unset(tmp_path: Path) -> None:
    text = GOOD + 'auth: {admin_key: "${ADMIN:-}"}\nstorage: {signing_key: "${SIGNING}"}\n'
    settings = loaded(tmp_path, text, {"SIGNING": ""})
    assert settings.auth.admin_key is None
    assert settings.storage.signing_key is None


def test_anchors_and_merges_are_plain_yaml(tmp_path: Path) -> None:
    text = """\
providers:
  a: &base {type: apiframe, api_key: k, max_concurrent: 2}
  b: {<<: *base, max_concurrent: 3}
  c: {<<: [*base, {type: sketch, timeout_seconds: 9}]}
models:
  m: {routes: [{provider: b, model: x}]}
"""
    providers = loaded(tmp_path, text).providers
    assert (providers["b"].type, providers["b"].max_concurrent) == ("apiframe", 3)
    assert (providers["c"].type, providers["c"].timeout_seconds) == ("apiframe", 9)


def test_yaml_words_and_dates_are_text_where_text_is_meant(tmp_path: Path) -> None:
    text = GOOD.replace("picture: {", "2026-01-31: {aliases: [2026-02-01], ").replace("drawn", "on")
    models = loaded(tmp_path, text.replace("provider: on", "provider: 'on'")).models
    assert models["2026-01-31"].aliases == ("2026-02-01",)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeff" + GOOD).default == "picture"


def test_addresses_lose_their_last_slash(tmp_path: Path) -> None:
    text = """\
server: {public_url: "https://pictures.example/x/"}
providers:
  one: {type: openai, base_url: "https://api.example/v1/"}
  two: {type: flux_worker, base_urls: ["http://10.0.0.1:1/", "http://[::1]:2"]}
  none: {type: sketch}
models:
  m: {routes: [{provider: one, model: x}]}
"""
    settings = loaded(tmp_path, text)
    assert settings.server.public_url == "https://pictures.example/x"
    assert settings.providers["one"].addresses == ("https://api.example/v1",)
    assert settings.providers["two"].addresses == ("http://10.0.0.1:1", "http://[::1]:2")
    assert settings.providers["none"].addresses == ()


def test_every_key_of_every_type_is_read(tmp_path: Path) -> None:
    text = """\
server: {trusted_proxies: [10.0.0.0/8, "::1"], cors_origins: ["*", "https://app.example"], data_dir: ~/data}
network: {allow_private: ["127.0.0.0/8"]}
providers:
  o:
    type: openai
    base_url: https://api.example/v1
    headers: {X-Team: red}
    rename: {steps: num_steps}
    drop: [seed]
    extras: forward
    edits: json
    profile: generic
    requests_per_minute: 5
  a: {type: apiframe, poll_seconds: {first: 2, factor: 2, max: 20}}
models:
  m:
    strategy: weighted
    fallback: free
    routes:
      - provider: o
        model: x
        weight: 0
        on_unknown: fallback
        timeout_seconds: 12.5
        price: {usd_per_request: "0.01", usd_per_megapixel: 1}
        defaults: {steps: 30, size: 1024x768, quality: null}
"""
    settings = loaded(tmp_path, text)
    assert settings.server.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.server.data_dir == Path.home() / "data"
    assert settings.network.allow_private == (ip_network("127.0.0.0/8"),)
    provider, route = settings.providers["o"], settings.models["m"].routes[0]
    assert (provider.headers, provider.rename, provider.drop) == ({"X-Team": "red"}, {"steps": "num_steps"}, ("seed",))
    assert (provider.extras, provider.edits, provider.profile) == ("forward", "json", "generic")
    poll = settings.providers["a"].poll_seconds
    assert poll is not None
    assert (poll.first, poll.factor, poll.max) == (2, 2, 20)
    assert (route.weight, route.on_unknown, route.timeout_seconds) == (0, "fallback", 12.5)
    assert route.defaults == {"steps": 30, "size": "1024x768"}
    assert route.price is not None
    assert (route.price.value.usd_per_request, route.price.value.usd_per_megapixel) == (Decimal("0.01"), Decimal(1))


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1  # type: ignore[misc]


def test_the_real_kinds_of_provider_are_the_default(tmp_path: Path) -> None:
    path = tmp_path / "imagegate.yaml"
    path.write_text(GOOD)
    assert load(path, {}).default == "picture"
