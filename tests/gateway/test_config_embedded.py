"""The configuration without a file, in every combination of what the environment can hold."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gateway.config import embedded
from gateway.config.embedded import DEFAULT_ALIASES
from gateway.routing import Catalogue
from normalization.errors import ConfigurationError
from tests.kinds import KINDS

VALUES = {
    "APIFRAME_API_KEY": "a",
    "ONEMIN_API_KEY": "b",
    "MODELVERSE_API_KEY": "c",
    "FLUX_WORKER_URL": "http://10.0.0.9:8800/",
}
REFERENCE_NAMES = {
    "flux.2-max": "flux-2-max",
    "black-forest-labs/flux-2-max": "flux-2-max",
    "black-forest-labs/FLUX.2-dev": "flux-2-dev",
    "black-forest-labs/flux-kontext-max/text-to-image": "flux-kontext-max",
}


def expected_routes(environ: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    routes = {
        "flux-2-max": [
            ("apiframe", "flux-2-max", "APIFRAME_API_KEY"),
            ("onemin", "black-forest-labs/flux-2-max", "ONEMIN_API_KEY"),
        ],
        "flux-kontext-max": [
            ("modelverse", "black-forest-labs/flux-kontext-max/text-to-image", "MODELVERSE_API_KEY"),
        ],
        "flux-2-dev": [("gpu", "black-forest-labs/FLUX.2-dev", "FLUX_WORKER_URL")],
    }
    present = {
        model: [(provider, own_id) for provider, own_id, variable in each if variable in environ]
        for model, each in routes.items()
    }
    return {model: each for model, each in present.items() if each} | {"sketch": [("sketch", "sketch")]}


@pytest.mark.parametrize(
    "names", [each for count in range(5) for each in itertools.combinations(VALUES, count)], ids="+".join
)
def test_each_variable_brings_its_provider_and_its_model(names: tuple[str, ...]) -> None:
    environ = {name: VALUES[name] for name in names}
    settings = embedded(environ, adapters=KINDS)
    found = {name: [(route.provider, route.model) for route in model.routes] for name, model in settings.models.items()}
    assert found == expected_routes(environ)
    assert settings.default == next(iter(found))
    catalogue = Catalogue(settings, adapters=KINDS)
    for name in ("gpt-image-1", "gpt-image-2-mini", "chatgpt-image-latest", "dall-e-3"):
        assert catalogue.resolve(name).model == settings.default
    for name, model in REFERENCE_NAMES.items():
        assert catalogue.resolve(name).model == (model if model in found else settings.default)


def test_without_anything_it_only_draws_for_this_machine_and_asks_for_no_key() -> None:
    settings = embedded({}, adapters=KINDS)
    assert list(settings.providers) == ["sketch"]
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert settings.server.data_dir == Path("imagegate-data")
    assert (settings.auth.mode, settings.auth.mode_written, settings.auth.keys) == ("none", None, ())
    assert (settings.state.url, settings.storage.url) == ("sqlite", "file")


def test_a_drawing_never_stands_in_for_another_models_picture() -> None:
    settings = embedded(VALUES, adapters=KINDS)
    assert [name for name, model in settings.models.items() if "sketch" in {r.provider for r in model.routes}] == [
        "sketch"
    ]
    assert not set(settings.models["sketch"].aliases) & set(DEFAULT_ALIASES)


def test_the_variables_reach_their_provider() -> None:
    providers = embedded(VALUES, adapters=KINDS).providers
    assert {name: entry.type for name, entry in providers.items()} == {
        "apiframe": "apiframe",
        "onemin": "onemin",
        "modelverse": "modelverse",
        "gpu": "flux_worker",
        "sketch": "sketch",
    }
    assert providers["gpu"].addresses == ("http://10.0.0.9:8800",)
    keys = {name: entry.api_key.get_secret_value() for name, entry in providers.items() if entry.api_key}
    assert keys == {"apiframe": "a", "onemin": "b", "modelverse": "c"}


def test_an_empty_variable_is_an_unset_one() -> None:
    assert list(embedded(dict.fromkeys(VALUES, ""), adapters=KINDS).models) == ["sketch"]


def test_a_value_is_not_read_for_variables() -> None:
    key = embedded({"ONEMIN_API_KEY": "${HOME}"}, adapters=KINDS).providers["onemin"].api_key
    assert key is not None
    assert key.get_secret_value() == "${HOME}"


def test_the_data_directory_can_be_chosen(tmp_path: Path) -> None:
    assert embedded({}, tmp_path, adapters=KINDS).server.data_dir == tmp_path


def test_a_variable_that_cannot_be_used_is_named_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        embedded({"FLUX_WORKER_URL": "worker:8800", "ONEMIN_API_KEY": "two words"}, adapters=KINDS)
    lines = caught.value.message.splitlines()
    assert lines[0].startswith("environment: ONEMIN_API_KEY: the secret is empty, or holds a space")
    assert lines[1].startswith("environment: FLUX_WORKER_URL: not an http(s) URL; accepted: http:// or https://")
    assert "worker:8800" not in caught.value.message
    assert "two words" not in caught.value.message
