"""Which model a name means, and who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load
from gateway.config.model import ResponseFormatSetting
from gateway.routing import Catalogue, Resolved, allowed, default_response_format
from normalization.errors import ModelNotFound
from tests.kinds import KINDS

PROVIDERS = {
    "gpu": {"type": "flux_worker", "base_url": "http://127.0.0.1:1"},
    "apiframe": {"type": "apiframe"},
    "spare": {"type": "apiframe"},
    "sketch": {"type": "sketch"},
    "seller": {"type": "openai", "base_url": "http://127.0.0.1:2"},
}
MODELS: dict[str, Any] = {
    "flux": {
        "aliases": ["flux.2-max", "gpt-image-*", "gpt-image-1-*", "black-forest-labs/FLUX.2-dev", "*-max"],
        "routes": [
            {"provider": "gpu", "model": "black-forest-labs/FLUX.2-dev"},
            {"provider": "apiframe", "model": "flux-2-max"},
            {"provider": "apiframe", "model": "flux-2-flex"},
        ],
    },
    "sketch": {"aliases": ["gpt-image-1", "gpt-image-?", "[ab]c"], "routes": [{"provider": "sketch", "model": "pen"}]},
    "gpu/own": {"routes": [{"provider": "sketch", "model": "pencil"}]},
    "mini": {"aliases": ["gpt-image-1-mini*"], "routes": [{"provider": "apiframe", "model": "flux-mini"}]},
}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    path = tmp_path / "c.yaml"
    path.write_text(
        yaml.safe_dump({"providers": PROVIDERS, "models": MODELS, "default_model": "flux.2-max"}, sort_keys=False)
    )
    return Catalogue(load(path, {}, adapters=KINDS), adapters=KINDS)


def ways(resolved: Resolved) -> list[tuple[str, str]]:
    return [(route.provider, route.model) for route in resolved.routes]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("flux", "flux"),
        ("flux.2-max", "flux"),
        ("black-forest-labs/FLUX.2-dev", "flux"),
        ("gpt-image-1", "sketch"),  # an exact alias beats both globs
        ("gpt-image-2", "flux"),  # of globs of one length, the first written
        ("gpt-image-22", "flux"),
        ("gpt-image-1-x", "flux"),
        ("gpt-image-1-mini-x", "mini"),  # the longest glob
        ("some/vendor-max", "flux"),  # a slash without a provider before it is part of the name
        ("bc", "sketch"),
        ("gpu/own", "gpu/own"),  # a model's own name beats a provider's prefix
    ],
)
def test_an_exact_name_beats_an_alias_beats_a_glob(catalogue: Catalogue, name: str, model: str) -> None:
    resolved = catalogue.resolve(name)
    assert (resolved.model, resolved.requested, resolved.forced) == (model, name, None)
    assert ways(resolved) == [(route["provider"], route["model"]) for route in MODELS[model]["routes"]]


def test_no_name_is_the_default_models(catalogue: Catalogue) -> None:
    resolved = catalogue.resolve(None)
    assert (resolved.model, resolved.requested, catalogue.default) == ("flux", "flux", "flux")
    assert len(resolved.routes) == 3


@pytest.mark.parametrize(
    ("name", "provider", "model", "own_id"),
    [
        ("apiframe/flux", "apiframe", "flux", "flux-2-max"),
        ("gpu/flux.2-max", "gpu", "flux", "black-forest-labs/FLUX.2-dev"),
        ("gpu/black-forest-labs/FLUX.2-dev", "gpu", "flux", "black-forest-labs/FLUX.2-dev"),
        ("apiframe/flux-2-flex", "apiframe", "flux", "flux-2-flex"),  # the provider's own id, as a route uses it
        ("apiframe/flux-mini", "apiframe", "mini", "flux-mini"),
        ("apiframe/flux-2-pro", "apiframe", "apiframe/flux-2-pro", "flux-2-pro"),  # known to the adapter alone
        ("spare/flux-2-max", "spare", "spare/flux-2-max", "flux-2-max"),
        ("gpu/gpt-image-7-b", "gpu", "flux", "black-forest-labs/FLUX.2-dev"),  # a glob with a route there
        ("sketch/gpt-image-1", "sketch", "sketch", "pen"),
        ("seller/gpt-image-1", "seller", "seller/gpt-image-1", "gpt-image-1"),
        ("seller/flux.2-max", "seller", "seller/flux.2-max", "flux.2-max"),  # nobody but the seller knows what it has
        ("seller/vendor/model 2", "seller", "seller/vendor/model 2", "vendor/model 2"),
    ],
)
def test_a_providers_prefix_forces_it_without_fallback(
    catalogue: Catalogue, name: str, provider: str, model: str, own_id: str
) -> None:
    resolved = catalogue.resolve(name)
    assert (resolved.forced, resolved.model, resolved.requested) == (provider, model, name)
    assert ways(resolved) == [(provider, own_id)]


@pytest.mark.parametrize(
    "name",
    [
        "gpu/sketch",  # no route of that model there
        "spare/flux",
        "sketch/anything-max",  # never falls through to the glob of another provider's model
        "apiframe/",
        "seller/",
        "seller/ x",
        "seller/x\n",
        "/flux",
        "FLUX",
        "",
        "gpt-image",
        "unheard/of",
        "x" * 100_000 + "-max",
    ],
)
def test_what_means_nothing_is_not_found(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalogue.resolve(name)
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("fluxx", "Nearest: flux"),
        ("FLUX.2-MAX", "Nearest: flux.2-max"),
        ("apiframe/flux-2-prp", "Nearest: apiframe/flux-2-pro"),
        ("sketch/pem", "Nearest: sketch/pen"),
    ],
)
def test_the_nearest_names_are_told(catalogue: Catalogue, name: str, nearest: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalogue.resolve(name)
    assert nearest in caught.value.message
    assert repr(name) in caught.value.message


def test_a_name_like_no_other_is_told_where_all_are_listed(catalogue: Catalogue) -> None:
    with pytest.raises(ModelNotFound, match=r"does not exist\. GET /v1/models lists all\.$"):
        catalogue.resolve("zzzzzzzz")


def test_models_and_exact_aliases_are_listed_and_globs_are_not(catalogue: Catalogue) -> None:
    assert catalogue.names() == (
        "flux",
        "sketch",
        "gpu/own",
        "mini",
        "flux.2-max",
        "black-forest-labs/FLUX.2-dev",
        "gpt-image-1",
    )
    for name in catalogue.names():
        assert catalogue.resolve(name).forced is None


@pytest.mark.parametrize(
    ("patterns", "requested", "expected"),
    [
        (["*"], "flux", True),
        (["flux"], "flux", True),
        (["flux"], "gpt-image-2-x", True),  # by the model's own name
        (["gpt-image-*"], "gpt-image-2-x", True),  # by the name asked for
        (["gpt-image-*"], "flux", False),
        (["sketch", "mini"], "flux", False),
        ([], "flux", False),
        (["Flux"], "flux", False),
        (["flux"], "apiframe/flux", True),
        (["flux"], "apiframe/flux-2-pro", False),  # a provider's own id that no route names is nobody's model
        (["apiframe/*"], "apiframe/flux-2-pro", True),
        (["flux"], "seller/flux.2-max", False),
    ],
)
def test_a_key_may_use_what_its_patterns_name(
    catalogue: Catalogue, patterns: list[str], requested: str, expected: bool
) -> None:
    assert allowed(patterns, requested, catalogue.resolve(requested)) is expected


@pytest.mark.parametrize(
    ("setting", "requested", "expected"),
    [
        ("auto", "gpt-image-1", "b64_json"),
        ("auto", "chatgpt-image-latest", "b64_json"),
        ("auto", "dall-e-3", "url"),
        ("auto", "my-gpt-image-1", "url"),
        ("url", "gpt-image-1", "url"),
        ("b64_json", "flux", "b64_json"),
        ("both", "flux", "both"),
    ],
)
def test_pictures_travel_as_the_name_leads_its_clients_to_expect(
    setting: ResponseFormatSetting, requested: str, expected: str
) -> None:
    assert default_response_format(setting, requested) == expected


def test_the_real_kinds_of_provider_are_the_default(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"providers": PROVIDERS, "models": MODELS}, sort_keys=False))
    assert Catalogue(load(path, {})).default == "flux"
