"""A plan's own arithmetic: what a dry run shows, what it costs, and whether anything was lost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.plan import Call, Component, Finish, Plan
from normalization.pricing import components
from normalization.rules import FREE, Price
from normalization.vocabulary import Applied, Behavior, Format, Size

KEPT = Applied("seed", Behavior.PASSTHROUGH, 7, 7)
LOST = Applied("style", Behavior.DROPPED, "vivid", None, "no styles")


def plan(*applied: Applied, parts: tuple[Component, ...] | None = None) -> Plan:
    return Plan("relay", "max", (), Finish(Format.PNG), applied, components=parts)


def calls(*counts: int) -> tuple[Call, ...]:
    return tuple(Call({}, tuple(range(count)), (None,) * count) for count in counts)


def test_a_plan_is_lossless_when_no_entry_has_a_note() -> None:
    assert plan(KEPT).lossless
    assert plan().lossless
    assert not plan(KEPT, LOST).lossless


def test_an_entry_shows_its_note_only_where_there_is_one() -> None:
    assert KEPT.entry() == {"name": "seed", "behavior": "passthrough", "requested": 7, "sent": 7}
    assert LOST.entry() == {
        "name": "style",
        "behavior": "dropped",
        "requested": "vivid",
        "sent": None,
        "note": "no styles",
    }


def test_a_call_counts_its_places() -> None:
    assert [call.images for call in calls(4, 4, 2)] == [4, 4, 2]


@pytest.mark.parametrize(
    ("finish", "steps"),
    [
        (
            Finish(Format.PNG),
            [{"step": "encode", "format": "png", "quality": None, "unless": "already png"}],
        ),
        (
            Finish(Format.WEBP, fit=Size(3, 2), quality=80, force=True, opaque=True),
            [
                {"step": "fit", "width": 3, "height": 2},
                {"step": "flatten", "background": "white"},
                {"step": "encode", "format": "webp", "quality": 80, "unless": None},
            ],
        ),
    ],
)
def test_a_dry_run_shows_the_steps_in_order(finish: Finish, steps: list[dict[str, object]]) -> None:
    assert finish.steps() == steps


def test_a_component_is_a_line_of_a_bill() -> None:
    part = Component("output", "image", (2, 1), Decimal("0.07"))
    assert part.micros == 210_000
    assert part.entry() == {
        "type": "output",
        "metric": "image",
        "quantity": 3,
        "billable_quantity": 3,
        "unit_price": 0.07,
        "total_cost": 210_000,
    }


def test_an_unknown_price_is_never_zero() -> None:
    assert plan(parts=None).cost_micros is None
    assert plan(parts=()).cost_micros == 0
    assert components(None, calls(1), None) is None
    free = components(FREE, calls(4, 2), None)
    assert free is not None
    assert plan(parts=free).cost_micros == 0


@pytest.mark.parametrize(
    ("price", "size", "micros"),
    [
        (Price(usd_per_image=Decimal("0.04")), None, 400_000),
        (Price(usd_per_request=Decimal("0.04")), None, 120_000),
        (Price(usd_per_megapixel=Decimal("0.04")), Size(1024, 1024), 400_000),
        (Price(usd_per_megapixel=Decimal("0.04")), Size(1024, 1025), 800_000),
        (Price(usd_per_megapixel=Decimal("0.04")), Size(8, 8), 400_000),
        (Price(usd_per_megapixel=Decimal("0.04")), None, 400_000),
        (Price(Decimal("0.01"), Decimal("0.02"), Decimal("0.03")), Size(2048, 2048), 100_000 + 800_000 + 90_000),
        (Price(), None, 0),
    ],
)
def test_ten_pictures_in_three_calls_cost_what_each_way_of_pricing_says(
    price: Price, size: Size | None, micros: int
) -> None:
    parts = components(price, calls(4, 4, 2), size)
    assert plan(parts=parts).cost_micros == micros


@given(st.decimals("0", "10", places=6), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_a_bill_is_exact_to_the_millionth(usd: Decimal, counts: list[int]) -> None:
    parts = components(Price(usd_per_image=usd), calls(*counts), None)
    assert plan(parts=parts).cost_micros == int(usd * 1_000_000) * sum(counts)


def test_a_thumbnail_is_the_last_step_and_asked_for_by_whoever_wants_one() -> None:
    small = plan().with_thumbnails(320)
    assert small.finish.steps()[-1] == {"step": "thumbnail", "format": "webp", "side": 320}
    assert small.with_thumbnails(None) == plan()
    assert [step["step"] for step in plan().finish.steps()] == ["encode"]


@pytest.mark.parametrize(("previews", "form"), [(None, None), (0, Format.PNG), (2, Format.PNG)])
def test_who_follows_the_work_is_shown_it_in_the_format_of_the_picture(
    previews: int | None, form: Format | None
) -> None:
    followed = Plan("relay", "max", calls(1, 2), Finish(Format.PNG), ()).followed(previews)
    assert [(call.previews, call.previews_format) for call in followed.calls] == [(previews, form)] * 2
