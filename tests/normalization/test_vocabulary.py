"""The words of the house, and the tree of errors that clients see."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest

from normalization import errors
from normalization.errors import CallerError, ImagegateError, InvalidValue, OperatorError, UpstreamError
from normalization.vocabulary import MEGAPIXEL, Format, Held, Ratio, Tier


@pytest.mark.parametrize(
    ("form", "media_type", "extension", "lossless", "transparent"),
    [
        (Format.PNG, "image/png", "png", True, True),
        (Format.JPEG, "image/jpeg", "jpg", False, False),
        (Format.GIF, "image/gif", "gif", True, True),
        (Format.WEBP, "image/webp", "webp", False, True),
        (Format.AVIF, "image/avif", "avif", False, True),
    ],
)
def test_a_format_knows_itself(
    form: Format, media_type: str, extension: str, lossless: bool, transparent: bool
) -> None:
    assert (form.media_type, form.extension, form.lossless, form.transparent) == (
        media_type,
        extension,
        lossless,
        transparent,
    )


def test_a_ratio_is_kept_in_lowest_terms() -> None:
    assert Ratio(1920, 1080) == Ratio(16, 9)
    assert Ratio(1920, 1080).value == Fraction(16, 9)


def test_tiers_are_exact_areas() -> None:
    assert Tier.k("0.5") == Tier(Fraction(MEGAPIXEL, 4), "0.5K")
    assert Tier.megapixels("2") == Tier(Fraction(2 * MEGAPIXEL), "2 MP")
    assert Tier.megapixels("1", "big") == Tier(Fraction(MEGAPIXEL), "big")


def tree(kind: type[ImagegateError]) -> Iterator[type[ImagegateError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


ALL = [ImagegateError, *tree(ImagegateError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_drawing_with_its_status_and_code(kind: type[ImagegateError]) -> None:
    drawn = [
        line.split() for line in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in f" {line.strip()} "
    ]
    assert drawn, f"{kind.__name__} is not drawn"
    if kind not in (ImagegateError, CallerError, UpstreamError, OperatorError, errors.ConfigurationError):
        assert [str(kind.status), kind.code] == [word for word in drawn[0] if word in (str(kind.status), kind.code)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_body_with_all_four_keys(kind: type[ImagegateError]) -> None:
    error = kind("n is 11", param="n", detail="secret", retry_after=2.0)
    assert error.body() == {"error": {"message": "n is 11", "type": kind.type, "param": "n", "code": kind.code}}
    assert (str(error), error.detail, error.retry_after) == ("n is 11", "secret", 2.0)
    assert "secret" not in str(error.body())


def test_nothing_is_charged_for_a_callers_mistake() -> None:
    assert {kind.charge for kind in tree(CallerError)} == {"none"}
    assert InvalidValue("n is 11").param is None


def test_only_refusals_under_load_ask_for_a_retry_among_provider_failures() -> None:
    retried = {kind.__name__ for kind in tree(UpstreamError) if kind.should_retry}
    assert retried == {"UpstreamBusy", "UpstreamUnavailable"}
    assert all(kind.charge == "none" for kind in tree(UpstreamError) if kind.should_retry)


def test_what_is_held_in_memory_is_read_whole_and_in_slices_also_when_somebody_has_let_go() -> None:
    held = Held(b"picture")
    held.close()
    assert (held.length, held.read(), list(held.slices(3))) == (7, b"picture", [b"pic", b"tur", b"e"])
