"""What submissions cost: parts that add up, pictures that are sent, and sums that agree to the millionth."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.plan import Call
from normalization.planner import plan
from normalization.pricing import components, megapixels
from normalization.rules import FREE, INPUT_MEGAPIXELS_MOST, Price
from normalization.vocabulary import Picture, Size
from tests.given import picture_of
from tests.normalization.asking import request
from tests.normalization.profiles import BATCHES, SEEDLESS

BY_THE_MEGAPIXEL = Price(
    usd_per_image=Decimal("0.04"), usd_per_megapixel=Decimal("0.03"), usd_per_input_megapixel=Decimal("0.03")
)
"""Seven cents for the first megapixel, three for each further one and for each of a reference."""


def picture(width: int, height: int) -> Picture:
    return picture_of(b"any", size=Size(width, height))


def calls(*counts: int, pictures: tuple[Picture, ...] = ()) -> tuple[Call, ...]:
    return tuple(
        Call({}, tuple(range(count)), (None,) * count, "edit" if pictures else "generate", pictures) for count in counts
    )


def micros(price: Price, of: tuple[Call, ...], size: Size | None = None) -> int:
    parts = components(price, of, size)
    assert parts is not None
    return sum(part.micros for part in parts)


@pytest.mark.parametrize(
    ("size", "cents"), [(Size(1024, 1024), 7), (Size(1024, 1025), 10), (Size(2048, 2048), 16), (Size(64, 64), 7)]
)
def test_a_first_megapixel_may_cost_more_than_each_further_one(size: Size, cents: int) -> None:
    assert micros(BY_THE_MEGAPIXEL, calls(1), size) == cents * 10_000


@pytest.mark.parametrize(
    ("pictures", "megapixels"),
    [
        ([(1024, 1024)], 1),
        ([(1, 1)], 1),
        ([(1024, 1025)], 2),
        ([(2048, 2048)], 4),
        ([(6000, 4000)], 4),
        ([(512, 512), (512, 512)], 2),
        ([(6000, 4000), (1500, 1000), (10, 10)], 4 + 2 + 1),
    ],
)
def test_each_input_picture_counts_its_own_megapixels_from_one_to_four(
    pictures: list[tuple[int, int]], megapixels: int
) -> None:
    sent = tuple(picture(*sides) for sides in pictures)
    parts = components(Price(usd_per_input_megapixel=Decimal(1)), calls(1, pictures=sent), None)
    assert parts is not None
    assert [part.entry() for part in parts] == [
        {
            "type": "input",
            "metric": "megapixel",
            "quantity": megapixels,
            "billable_quantity": megapixels,
            "unit_price": 1.0,
            "total_cost": megapixels * 1_000_000,
        }
    ]


def test_a_submission_sends_its_pictures_again() -> None:
    sent = (picture(2048, 1024), picture(64, 64))
    price = Price(usd_per_input_image=Decimal("0.01"), usd_per_input_megapixel=Decimal("0.1"))
    assert micros(price, calls(4, 4, 2, pictures=sent)) == 3 * (2 * 10_000 + 3 * 100_000)


def test_every_part_of_a_price_has_a_line_of_its_own_that_can_be_checked_by_hand() -> None:
    price = Price(**{each.name: Decimal(place + 1) for place, each in enumerate(fields(Price))})
    parts = components(price, calls(4, 4, 2, pictures=(picture(2048, 1024),)), Size(2048, 2048))
    assert parts is not None
    assert [(part.type, part.metric, part.quantity, int(part.unit_price), part.micros) for part in parts] == [
        ("output", "image", 10, 1, 10_000_000),
        ("output", "megapixel", 40, 2, 80_000_000),
        ("input", "image", 3, 4, 12_000_000),
        ("input", "megapixel", 6, 5, 30_000_000),
        ("request", "request", 3, 3, 9_000_000),
    ]


def test_without_input_pictures_there_is_no_line_for_them() -> None:
    parts = components(BY_THE_MEGAPIXEL, calls(2), None)
    assert parts is not None
    assert [part.type for part in parts] == ["output", "output"]


def test_ten_pictures_at_four_a_call_are_charged_as_three_submissions() -> None:
    planned = plan(request(n=10), BATCHES, name="o")
    assert [call.images for call in planned.calls] == [4, 4, 2]
    assert planned.cost_micros == 10 * 40_000 + 3 * 1_000


def test_each_submission_is_rounded_on_its_own() -> None:
    price = Price(usd_per_image=Decimal("0.0000014"))
    assert micros(price, calls(1)) == 1
    assert micros(price, calls(2)) == 3
    assert micros(price, calls(1, 1)) == 2, "what is booked twice is one millionth each time"


usd = st.none() | st.decimals("0", "1", places=8)
prices = st.builds(Price, usd, usd, usd, usd, usd)
sizes = st.builds(Size, st.integers(1, 5000), st.integers(1, 5000))
some_pictures = st.lists(sizes.map(lambda size: picture(size.width, size.height)), max_size=4).map(tuple)
counts = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@given(prices, counts, some_pictures, st.none() | sizes)
def test_a_plan_costs_what_its_submissions_cost_one_by_one(
    price: Price, counts: list[int], pictures: tuple[Picture, ...], size: Size | None
) -> None:
    of = calls(*counts, pictures=pictures)
    assert micros(price, of, size) == sum(micros(price, (call,), size) for call in of)


@given(prices, st.integers(1, 10), some_pictures)
def test_a_plans_total_is_that_of_its_calls_and_of_the_plans_for_each_place(
    price: Price, n: int, pictures: tuple[Picture, ...]
) -> None:
    asked = replace(request(n=n), pictures=pictures)
    planned = plan(asked, SEEDLESS, name="p", price=price)
    size = planned.yields or planned.finish.fit
    assert planned.cost_micros == sum(micros(price, (call,), size) for call in planned.calls)
    assert sum(call.images for call in planned.calls) == n


@given(prices, counts, some_pictures)
def test_another_input_picture_never_makes_it_cheaper(
    price: Price, counts: list[int], pictures: tuple[Picture, ...]
) -> None:
    more = (*pictures, picture(100, 100))
    assert micros(price, calls(*counts, pictures=more)) >= micros(price, calls(*counts, pictures=pictures))


@given(sizes)
def test_megapixels_are_the_least_whole_number_that_holds_the_pixels(size: Size) -> None:
    assert (megapixels(size) - 1) * 1024**2 < size.pixels <= megapixels(size) * 1024**2


@given(sizes)
def test_an_input_picture_is_charged_as_one_to_four_megapixels(size: Size) -> None:
    sent = (picture(size.width, size.height),)
    charged = micros(Price(usd_per_input_megapixel=Decimal("0.000001")), calls(1, pictures=sent))
    assert charged == min(megapixels(size), INPUT_MEGAPIXELS_MOST) >= 1


@pytest.mark.parametrize(
    ("price", "free"),
    [
        (FREE, True),
        (Price(), True),
        (Price(usd_per_image=Decimal(0), usd_per_input_image=Decimal("0.00")), True),
        (Price(usd_per_image=Decimal(0), usd_per_input_image=Decimal("0.01")), False),
        (Price(usd_per_request=Decimal("0.001")), False),
    ],
)
def test_a_price_is_free_when_no_part_of_it_costs_anything(price: Price, free: bool) -> None:
    assert price.free is free


@given(st.fixed_dictionaries({each.name: usd for each in fields(Price)}))
def test_a_prices_parts_are_those_that_were_named(named: dict[str, Any]) -> None:
    assert Price(**named).parts == {name: value for name, value in named.items() if value is not None}


def test_of_an_unknown_price_nothing_is_known() -> None:
    asked = replace(request(n=3), pictures=(picture(64, 64),))
    assert components(None, calls(1, pictures=asked.pictures), Size(8, 8)) is None
    planned = plan(asked, SEEDLESS, name="p")
    assert (planned.components, planned.cost_micros) == (None, None)
