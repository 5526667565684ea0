"""Payloads: dotted paths become objects, and names from outside never do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from normalization.errors import InvalidValue
from normalization.geometry import Offers
from normalization.payload import leaf, merged, nested, place, refuse_reserved, sent, shape_paths
from normalization.rules import RESERVED
from tests.normalization.offers import FEW, SEVEN, TIERED
from tests.normalization.profiles import BATCHES, RATIO_ONLY, WORKER


def test_paths_become_objects() -> None:
    assert nested({"a": 1, "b.c": 2, "b.d.e": None}) == {"a": 1, "b": {"c": 2, "d": {"e": None}}}


def test_each_payload_is_a_new_object() -> None:
    fields = {"b.c": 2}
    assert nested(fields)["b"] is not nested(fields)["b"]


@pytest.mark.parametrize("key", ["prompt.x", "b.c", ".", "a..b", "b"])
def test_a_dot_in_the_name_of_an_extra_is_a_dot(key: str) -> None:
    assert merged({"prompt": "a fox", "b.c": 2}, RATIO_ONLY, {key: 5}) == {"prompt": "a fox", "b": {"c": 2}} | {key: 5}


def test_extras_join_the_providers_own_object() -> None:
    assert merged({"options.image.steps": 2}, WORKER, {"flow_shift": 3}) == {
        "options": {"image": {"steps": 2, "flow_shift": 3}}
    }
    assert merged({"input": "x"}, WORKER, {}) == {"input": "x"}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [({}, None), ({"a.steps": 5}, 5), ({"a.width": 8, "a.height": 9}, {"width": 8, "height": 9})],
)
def test_what_was_sent_is_shown_without_the_way_there(fields: dict[str, Any], shown: Any) -> None:
    assert sent(fields) == shown


def test_the_last_part_of_a_path() -> None:
    assert (leaf("a.b.c"), leaf("c")) == ("c", "c")


def test_where_an_extra_goes() -> None:
    assert place(RATIO_ONLY, "go_fast") == "go_fast"
    assert place(WORKER, "go_fast") == "options.image.go_fast"


@pytest.mark.parametrize(
    ("offers", "paths"),
    [
        (WORKER.offers, {"width", "height"}),
        (Offers(sizes=FEW), {"size"}),
        (Offers(ratios=SEVEN), {"aspect_ratio"}),
        (Offers(ratios=TIERED), {"shape.ratio", "shape.resolution"}),
        (Offers(sizes=FEW, ratios=SEVEN), {"size", "aspect_ratio"}),
        (Offers(), set()),
    ],
)
def test_where_a_shape_is_written(offers: Offers, paths: set[str]) -> None:
    assert shape_paths(offers) == paths


@pytest.mark.parametrize(
    "key", ["options", "image", "Width", "numImages", "sigmas", "SIGMAS", "input", "model", *sorted(RESERVED)]
)
def test_nobody_else_sets_what_the_adapter_sets_or_bills_by(key: str) -> None:
    with pytest.raises(InvalidValue, match="the gateway itself sets or bills by it") as error:
        refuse_reserved(WORKER, key, f"provider_options.gpu.{key}")
    assert error.value.param == f"provider_options.gpu.{key}"


def test_fields_of_the_same_name_as_an_object_on_the_way_are_kept_from_it() -> None:
    tiered = replace(BATCHES, offers=Offers(ratios=TIERED), constants=(("mode.name", "x"),))
    for key in ("shape", "ratio", "resolution", "mode", "n"):
        with pytest.raises(InvalidValue):
            refuse_reserved(tiered, key, key)
    refuse_reserved(tiered, "name", "name")


@pytest.mark.parametrize("key", ["flow_shift", "steps", "guidance_scale", "output_format", ""])
def test_everything_else_may_be_set(key: str) -> None:
    refuse_reserved(WORKER, key, key)
