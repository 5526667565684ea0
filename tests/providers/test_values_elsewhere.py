"""Values that other gateways send to the wrong place or swallow, tried with every model of the registry."""

from __future__ import annotations

import pytest

from normalization.payload import leaf
from normalization.vocabulary import Behavior
from tests.providers.conversing import leaves, planned
from tests.providers.test_contract import WIRED_MODELS, adapter_of, entry_of

OTHER_GUIDANCE = {"true_cfg_scale", "distilled_guidance", "true_guidance", "image_guidance_scale"}
"""Fields that sound like guidance and mean another quantity, some at twice the work."""


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_guidance_is_never_sent_as_another_quantity(kind: str, model: str) -> None:
    plan = planned(adapter_of(kind), model, guidance=3.0)
    names = {leaf(path) for path in leaves(plan.calls[0].payload)}
    assert names.isdisjoint(OTHER_GUIDANCE)
    guided = names & {"guidance", "guidance_scale", "cfg_scale"}
    assert (len(guided) == 1) == (entry_of(plan, "guidance").behavior is not Behavior.DROPPED)


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
@pytest.mark.parametrize("wanted", [True, False])
def test_upsampling_is_said_either_way_where_a_model_has_a_word_for_it(kind: str, model: str, wanted: bool) -> None:
    adapter = adapter_of(kind)
    way = adapter.profile(model).rows["prompt_upsampling"][0]
    sent = leaves(planned(adapter, model, prompt_upsampling=wanted).calls[0].payload)
    assert [value for path, value in sent.items() if path == way.to] == ([wanted] if way.to else [])


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_a_seed_of_nought_is_a_seed_and_a_random_one_is_left_to_the_provider(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    to = adapter.profile(model).rows["seed"][0].to
    seeded, random = (leaves(planned(adapter, model, seed=seed).calls[0].payload) for seed in (0, -1))
    assert seeded.get(to or "") == (0 if to else None)
    assert to not in random
    assert -1 not in random.values()


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_jpeg_goes_by_the_providers_own_word_and_png_where_it_has_none(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    output = adapter.profile(model).output
    if output.to is None:
        return
    sent = [leaves(planned(adapter, model, output_format=word).calls[0].payload) for word in ("jpeg", "jpg")]
    words = {form.value: word for form, word in output.names.items()}
    assert [fields.get(output.to) for fields in sent] == [words.get("jpeg", words.get("png"))] * 2
    assert words.get("jpeg", "jpg") in ("jpg", "jpeg")


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_a_ratio_on_the_wire_is_one_of_the_models_own_words(kind: str, model: str) -> None:
    """1183x887 is in lowest terms, and 1365x768 is 455:256: a ratio that is computed is one that nobody offers."""
    adapter = adapter_of(kind)
    ratios = adapter.profile(model).offers.ratios
    if ratios is None:
        return
    for size in ("1183x887", "1365x768", "1792x1024", "1920x1088", "3000x100", "21:9", "0.999:1"):
        sent = leaves(planned(adapter, model, size=size).calls[0].payload)
        assert sent.get(ratios.to) in (*ratios.names, "custom", None)


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
@pytest.mark.parametrize("size", ["1x1", "64x64", "512x512", "887x1182", "1000x777", "2731x1536", "4000x4000"])
def test_pixels_on_the_wire_are_on_the_models_grid_and_within_its_bounds(kind: str, model: str, size: str) -> None:
    adapter = adapter_of(kind)
    grid = adapter.profile(model).offers.grid
    if grid is None:
        return
    yields = planned(adapter, model, size=size).yields
    assert yields is not None
    for side in (yields.width, yields.height):
        assert side % grid.multiple == 0
        assert grid.least <= side <= -(-grid.most // grid.multiple) * grid.multiple
    assert (grid.pixels_least or 0) <= yields.pixels <= (grid.pixels_most or yields.pixels)
    assert max(yields.width, yields.height) <= (grid.ratio_most or 10**6) * min(yields.width, yields.height)
