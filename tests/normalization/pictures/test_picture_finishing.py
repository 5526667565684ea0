"""A plan's finishing, from the provider's bytes to the client's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from normalization.pictures import rework
from normalization.pictures.finish import Finished, FinishOptions, finish, needs_decoding, pass_through, thumbnail_size
from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import Limits
from normalization.pictures.provenance import DigitalSource
from normalization.pictures.refusal import BadPicture, CannotEncode
from normalization.plan import Finish
from normalization.vocabulary import Format, Size
from tests.normalization.pictures.making import AI_XMP, TAIL, exif, holed, noise, opened, profile, smooth, written

OPTIONS = FinishOptions()
FORMATS = list(Format)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_every_format_becomes_every_other(source: Format, target: Format) -> None:
    data = written(smooth(), source.name)
    done = finish(data, Finish(target), OPTIONS)
    assert inspect(done.data).format is done.format is target
    assert done.source_format is source
    assert done.size == done.source_size == inspect(done.data).size == Size(60, 40)
    assert done.decoded == (source is not target)
    if source is target:
        assert done.data is data


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_is_right_already_is_the_very_same_object(kind: Format) -> None:
    data = written(noise(), kind.name)
    for wanted in (Finish(kind), Finish(kind, fit=Size(60, 40)), Finish(kind, opaque=True), Finish(kind, quality=3)):
        done = finish(data, wanted, OPTIONS)
        assert done.data is data
        assert done == Finished(data, kind, Size(60, 40), kind, Size(60, 40))


@pytest.mark.parametrize("kind", FORMATS)
def test_passing_through_twice_changes_nothing_more(kind: Format) -> None:
    once = finish(written(noise(), kind.name) + TAIL, Finish(kind), OPTIONS).data
    assert finish(once, Finish(kind), OPTIONS).data is once


@pytest.mark.parametrize("kind", FORMATS)
def test_what_passes_through_loses_its_tail(kind: Format) -> None:
    data = written(noise(), kind.name)
    assert finish(data + TAIL, Finish(kind), OPTIONS).data == data


@given(
    st.builds(Size, st.integers(1, 50), st.integers(1, 50)),
    st.builds(Size, st.integers(1, 50), st.integers(1, 50)),
    st.integers(0, 16),
    st.sampled_from([Format.PNG, Format.GIF, Format.WEBP, Format.JPEG]),
    st.sampled_from([Format.PNG, Format.GIF, Format.WEBP, Format.JPEG]),
)
def test_the_promised_size_is_delivered(source: Size, target: Size, slack: int, before: Format, after: Format) -> None:
    data = written(noise(source.width, source.height), before.name)
    done = finish(data, Finish(after, fit=target, slack=slack), OPTIONS)
    assert done.size == target
    assert inspect(done.data, OPTIONS.limits).size == target
    assert done.source_size == source
    assert done.resized or done.cropped or source == target


@pytest.mark.parametrize(
    ("source", "target", "slack", "said"),
    [
        (Size(60, 40), Size(60, 40), 0, set()),
        (Size(66, 44), Size(60, 40), 16, {"cropped"}),
        (Size(120, 80), Size(60, 40), 16, {"resized"}),
        (Size(120, 90), Size(60, 40), 16, {"resized", "cropped"}),
        (Size(30, 20), Size(60, 40), 16, {"resized", "enlarged"}),
        (Size(30, 30), Size(60, 40), 16, {"resized", "enlarged", "cropped"}),
    ],
)
def test_what_was_done_is_told(source: Size, target: Size, slack: int, said: set[str]) -> None:
    done = finish(
        written(noise(source.width, source.height), "PNG"), Finish(Format.PNG, fit=target, slack=slack), OPTIONS
    )
    assert {name for name in ("resized", "cropped", "enlarged", "flattened") if getattr(done, name)} == said
    assert done.decoded == bool(said)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_fitted_as_it_is_seen(orientation: int) -> None:
    data = written(noise(), "JPEG", exif=exif(orientation))
    seen = Size(60, 40) if orientation < 5 else Size(40, 60)
    done = finish(data, Finish(Format.JPEG, fit=seen), OPTIONS)
    assert done.source_size == done.size == seen
    assert done.decoded == (orientation != 1)
    assert not done.resized
    assert inspect(done.data).orientation == 1


def test_transparency_is_flattened_for_jpeg_on_white() -> None:
    done = finish(written(holed(), "PNG"), Finish(Format.JPEG, quality=100), OPTIONS)
    assert done.flattened
    assert opened(done.data).getpixel((5, 20)) == pytest.approx((255, 255, 255), abs=2)


@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP, Format.AVIF, Format.GIF])
def test_an_opaque_background_is_white(kind: Format) -> None:
    done = finish(written(holed(), kind.name), Finish(kind, opaque=True), OPTIONS)
    assert done.flattened
    assert done.decoded
    assert not inspect(done.data).transparent
    assert opened(done.data).convert("RGB").getpixel((5, 20)) == pytest.approx((255, 255, 255), abs=3)


def test_transparency_that_no_pixel_uses_is_nothing_to_flatten() -> None:
    data = written(smooth(mode="RGBA"), "PNG")
    done = finish(data, Finish(Format.PNG, opaque=True), OPTIONS)
    assert done.data is data
    assert not done.decoded
    resized = finish(data, Finish(Format.PNG, fit=Size(30, 20), opaque=True), OPTIONS)
    assert resized.size == Size(30, 20)
    assert not resized.flattened


def test_transparency_passes_where_nobody_asked_for_anything_else() -> None:
    data = written(holed(), "PNG")
    assert finish(data, Finish(Format.PNG), OPTIONS).data is data
    assert opened(finish(data, Finish(Format.WEBP), OPTIONS).data).mode == "RGBA"


def test_force_writes_the_same_format_again_in_the_quality_named() -> None:
    data = written(noise(), "JPEG", quality=95)
    done = finish(data, Finish(Format.JPEG, quality=20, force=True), OPTIONS)
    assert done.decoded
    assert len(done.data) < len(data) / 2


def test_without_a_quality_the_house_default_is_used() -> None:
    data = written(noise(), "PNG")
    by_default = finish(data, Finish(Format.JPEG), FinishOptions(default_quality=40))
    assert by_default == finish(data, Finish(Format.JPEG, quality=40), OPTIONS)
    assert by_default.data != finish(data, Finish(Format.JPEG), OPTIONS).data


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_an_animation_passes_whole_unless_a_still_is_needed(kind: Format) -> None:
    data = written(noise(), kind.name, save_all=True, append_images=[noise(seed=2)])
    frames = inspect(data).frames
    assert inspect(finish(data, Finish(kind), OPTIONS).data).frames == frames > 1
    for wanted in (Finish(kind, fit=Size(60, 40)), Finish(kind, force=True), Finish(Format.JPEG)):
        assert inspect(finish(data, wanted, OPTIONS).data).frames == 1


def test_the_profile_is_kept_from_end_to_end() -> None:
    data = written(noise(), "PNG", icc_profile=profile())
    for kind in (Format.JPEG, Format.WEBP, Format.AVIF):
        assert opened(finish(data, Finish(kind), OPTIONS).data).info["icc_profile"] == profile()


def test_where_a_picture_came_from_is_written_only_for_generated_ones() -> None:
    data = written(noise(), "PNG")
    assert AI_XMP.encode() in finish(data, Finish(Format.JPEG), OPTIONS).data
    assert AI_XMP.encode() not in finish(data, Finish(Format.JPEG), FinishOptions(digital_source=None)).data
    drawn = finish(data, Finish(Format.PNG, force=True), FinishOptions(digital_source=DigitalSource.ALGORITHMIC)).data
    assert b"digitalsourcetype/algorithmicMedia" in drawn


def test_a_thumbnail_is_made_of_the_same_pixels() -> None:
    data = written(holed(120, 80), "PNG")
    for wanted in (Finish(Format.PNG, thumbnail=30), Finish(Format.JPEG, thumbnail=30)):
        done = finish(data, wanted, OPTIONS)
        assert done.thumbnail is not None
        assert inspect(done.thumbnail).format is Format.WEBP
        assert opened(done.thumbnail).size == (30, 20)
    assert finish(data, Finish(Format.PNG, thumbnail=30), OPTIONS).data is data


@pytest.mark.parametrize(
    ("size", "small"), [((20, 900), (1, 30)), ((9, 6), (9, 6)), ((30, 30), (30, 30)), ((61, 40), (30, 19))]
)
def test_a_thumbnail_has_the_size_that_is_told_of_it(size: tuple[int, int], small: tuple[int, int]) -> None:
    done = finish(written(noise(*size), "PNG"), Finish(Format.PNG, thumbnail=30), OPTIONS)
    assert inspect(done.thumbnail or b"").size == thumbnail_size(Size(*size), 30) == Size(*small)


def test_a_picture_is_not_lost_for_want_of_its_thumbnail(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(noise(), "PNG")

    def failing(*anything: object) -> bytes:
        raise OSError("no room")

    monkeypatch.setattr("normalization.pictures.rework.save", failing)
    done = finish(data, Finish(Format.PNG, thumbnail=30), OPTIONS)
    assert (done.data, done.thumbnail) == (data, None)


def test_limits_hold_here_too() -> None:
    with pytest.raises(BadPicture) as caught:
        finish(written(noise(), "PNG"), Finish(Format.JPEG), replace(OPTIONS, limits=Limits(pixels_most=99)))
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(MemoryError(), BadPicture), (OSError("encoder error"), CannotEncode), (ValueError("no"), CannotEncode)],
)
def test_an_encoder_that_gives_up_says_so(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[BadPicture]
) -> None:
    def failing(*arguments: object) -> bytes:
        raise raised

    monkeypatch.setattr(rework, "encode", failing)
    with pytest.raises(kind) as caught:
        finish(written(noise(), "PNG"), Finish(Format.WEBP), OPTIONS)
    assert caught.value.code == "too_large"
    assert "webp" in str(caught.value)


def test_four_inks_are_always_decoded() -> None:
    data = written(Image.new("CMYK", (20, 20), (0, 200, 0, 0)), "JPEG")
    done = finish(data, Finish(Format.JPEG), OPTIONS)
    assert done.decoded
    assert opened(done.data).mode == "RGB"


@pytest.mark.parametrize(
    ("header", "wanted", "needed"),
    [
        (Header(Format.PNG, Size(9, 9)), Finish(Format.PNG), False),
        (Header(Format.PNG, Size(9, 9)), Finish(Format.PNG, fit=Size(9, 9), slack=4), False),
        (Header(Format.PNG, Size(9, 9)), Finish(Format.PNG, fit=Size(9, 8)), True),
        (Header(Format.PNG, Size(9, 8), orientation=6), Finish(Format.PNG, fit=Size(8, 9)), True),
        (Header(Format.PNG, Size(9, 9)), Finish(Format.GIF), True),
        (Header(Format.PNG, Size(9, 9)), Finish(Format.PNG, force=True), True),
        (Header(Format.PNG, Size(9, 9), transparent=True), Finish(Format.PNG), False),
        (Header(Format.PNG, Size(9, 9), transparent=True), Finish(Format.PNG, opaque=True), True),
        (Header(Format.JPEG, Size(9, 9), passable=False), Finish(Format.JPEG), True),
        (Header(Format.GIF, Size(9, 9), frames=3), Finish(Format.GIF), False),
        (Header(Format.GIF, Size(9, 9), frames=3), Finish(Format.GIF, fit=Size(9, 9)), True),
    ],
)
def test_decoding_is_needed_only_where_something_changes(header: Header, wanted: Finish, needed: bool) -> None:
    assert needs_decoding(header, wanted) is needed


def test_passing_through_can_be_told_to_drop_a_manifest() -> None:
    data = written(noise(), "PNG")
    header = replace(inspect(data), manifest=True)
    assert pass_through(data + TAIL, header).data == data
    assert pass_through(data + TAIL, header, keep_manifest=False).data == data


def test_what_only_reads_containers_imports_no_codec() -> None:
    program = "import sys, normalization.pictures.sniff, normalization.pictures; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603


def test_a_refusal_survives_the_way_out_of_a_process() -> None:
    import pickle

    for error in (BadPicture("unreadable", "why"), CannotEncode("too_large", "because")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(again) is type(error)
        assert (again.code, again.message, str(again)) == (error.code, error.message, error.message)
