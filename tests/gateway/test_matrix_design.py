"""The matrix leaves nothing out: every kind of provider, every model, every pair of values."""

from __future__ import annotations

import pytest

from providers.base import Options
from providers.registry import PROVIDERS
from tests.matrix import SIMULATE, UNKNOWN, VALUES, cases, design_of, factors_of, models_of
from tests.pairing import all_pairs, covering, pairs_of


def test_every_kind_of_provider_is_in_the_matrix_with_all_its_models() -> None:
    assert {case.kind for case in cases()} == set(PROVIDERS)
    assert set(SIMULATE) | {"sketch"} == set(UNKNOWN) == set(PROVIDERS)
    for kind, adapter in PROVIDERS.items():
        tried = {case.model for case in cases() if case.kind == kind}
        assert tried - set(adapter.known_models) == set(UNKNOWN[kind])
        for model in set(adapter.known_models) - tried:
            assert adapter(Options(name="p")).profile(model).operations in ((), ("edit",)), "left out"


@pytest.mark.parametrize("kind", list(PROVIDERS))
def test_every_pair_of_values_meets_at_every_provider_and_every_value_meets_every_model(kind: str) -> None:
    factors = factors_of(kind)
    met = {pair for case in cases() if case.kind == kind for pair in pairs_of(case.row, list(factors))}
    assert set(all_pairs(factors)) <= met


@pytest.mark.parametrize("kind", list(PROVIDERS))
def test_the_design_is_no_longer_than_it_must_be(kind: str) -> None:
    shapes = len(VALUES["shape"])
    least = shapes * max(len(models_of(kind)), len(VALUES["output_format"]))
    assert len(design_of(kind)) <= 1.2 * least


def test_the_design_is_the_same_each_time() -> None:
    assert cases() == cases()


def test_a_design_of_two_factors_is_their_product() -> None:
    rows = covering({"a": ("1", "2"), "b": ("x", "y", "z")})
    assert sorted((row["a"], row["b"]) for row in rows) == sorted((a, b) for a in "12" for b in "xyz")
