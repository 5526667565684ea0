"""What a provider can do wrong, and what the client then sees: the answer of the error table, a repaired picture, and
never a second purchase."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys import HURRIED, SIMULATORS, STEADY, Journey, delivered, journey_to, opened, refusal


@pytest.fixture(scope="module", params=list(SIMULATORS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def journey(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with journey_to(kind, tmp_path_factory.mktemp(kind), {"limits": HURRIED | STEADY}) as found:
        yield found


@pytest.fixture(autouse=True)
def _fresh(journey: Journey) -> None:
    journey.simulator.reset()


def test_a_busy_provider_is_a_429_worth_a_retry(journey: Journey) -> None:
    journey.simulator.fail_next(times=9, status=429, headers={"retry-after": "1"})
    error = refusal(journey)
    assert (error.status_code, error.code, error.type) == (429, "upstream_busy", "rate_limit_error")
    assert error.response.headers["x-should-retry"] == "true"
    assert error.response.headers["retry-after"] == "1"
    assert len(journey.simulator.submissions) == 3, "the official client tries three times, the gateway once for each"
    assert len(journey.simulator.faults) == 6, "it was asked to stay away for longer than the gateway waits"
    assert journey.simulator.billed == 0


@pytest.mark.parametrize("fault", ["truncate", "bad_json", "html", "hang_up"])
def test_an_answer_that_cannot_be_read_may_have_cost_money_and_is_never_bought_again(
    journey: Journey, kind: str, fault: str
) -> None:
    journey.simulator.fail_next(times=9, **{fault: True})
    error = refusal(journey)
    assert error.status_code == 502
    assert error.code in ("outcome_unknown", "bad_upstream_response")
    assert error.response.headers["x-should-retry"] == "false"
    # apiframe makes one job of one key, however often it is sent; a worker of the house costs nothing.
    assert len(journey.simulator.submissions) == {"apiframe": 4, "flux_worker": 2}.get(kind, 1)
    assert kind == "flux_worker" or journey.simulator.billed <= 1


@pytest.mark.parametrize("fault", ["truncate", "bad_json", "html", "hang_up"])
def test_an_answer_that_cannot_be_read_is_got_a_second_time_where_that_costs_nothing(
    journey: Journey, kind: str, fault: str
) -> None:
    if kind not in ("apiframe", "flux_worker"):
        return  # a second answer of these would be a second purchase
    journey.simulator.fail_next(**{fault: True})
    answer = journey.generate(size="256x256", response_format="b64_json")
    assert len(journey.pictures(answer)) == 1
    assert kind == "flux_worker" or journey.simulator.billed == 1
    outcomes = [attempt["outcome"] for attempt in answer.metadata["attempts"]]
    assert outcomes[-1] == "ok"
    assert len(outcomes) == (1 if kind == "apiframe" else 2), "sent with the same key it is one attempt"


@pytest.mark.parametrize("fault", ["not_a_picture", "bomb", "empty"])
def test_what_is_not_a_usable_picture_is_an_error_and_not_a_picture(journey: Journey, fault: str) -> None:
    journey.simulator.fail_next(times=9, **{fault: True})
    error = refusal(journey)
    assert error.status_code == 502
    assert error.code in ("bad_upstream_image", "generation_failed", "bad_upstream_response")
    assert error.response.headers["x-should-retry"] == "false"
    assert len(journey.simulator.submissions) == 1


def test_a_wrong_format_is_repaired_and_reported(journey: Journey) -> None:
    journey.simulator.fail_next(wrong_format=True)
    answer = journey.generate(size="256x256", output_format="png", response_format="b64_json")
    (picture,) = journey.pictures(answer)
    assert (picture.format, picture.size) == ("PNG", (256, 256))


def test_a_wrong_size_is_repaired_and_reported(journey: Journey, kind: str) -> None:
    journey.simulator.fail_next(wrong_size=True)
    answer = journey.generate(size="512x384", response_format="b64_json")
    (picture,) = journey.pictures(answer)
    assert picture.size == (512, 384)
    entry = next(entry for entry in answer.metadata["parameters"] if entry["name"] == "size")
    if kind in ("onemin", "modelverse"):
        return  # they take ratios: which pixels come is theirs to choose, and is no fault
    assert "enlarged" in entry["note"]
    assert answer.metadata["repairs"]


def test_more_pictures_than_asked_for_are_left_out(journey: Journey) -> None:
    journey.simulator.fail_next(too_many=True)
    answer = journey.generate(size="256x256", response_format="b64_json")
    assert len(answer.data) == 1


def test_a_data_uri_where_base64_was_due_is_read(journey: Journey, kind: str) -> None:
    journey.simulator.fail_next(data_uri=True)
    answer = journey.generate(size="256x256", response_format="b64_json")
    assert opened(delivered(journey, answer.data[0])).size == (256, 256)
    assert not answer.data[0].b64_json.startswith("data:")
    if kind in ("openai", "modelverse"):
        assert any("data: prefix" in repair for repair in answer.metadata["repairs"])


def test_fewer_pictures_than_asked_for_are_topped_up(journey: Journey) -> None:
    journey.simulator.fail_next(too_few=True)
    answer = journey.client.images.generate(prompt="a fox", model="m", size="256x256", n=4, response_format="b64_json")
    assert answer.data is not None
    assert len(answer.data) in (3, 4)
    if len(answer.data) == 4:
        assert answer.metadata["partial"] is False  # type: ignore[attr-defined]


def test_a_failed_sibling_leaves_a_partial_answer(journey: Journey) -> None:
    journey.simulator.fail_next(status=500)
    raw = journey.client.images.with_raw_response.generate(
        prompt="a fox", model="m", size="256x256", n=3, response_format="b64_json", extra_body={"seed": 5}
    )
    answer = raw.parse()
    assert answer.data is not None
    if len(answer.data) == 3:
        return  # this provider makes all three in one call
    assert len(answer.data) == 2
    assert raw.headers["x-images-failed"] == "1"
    assert answer.metadata["partial"] is True  # type: ignore[attr-defined]
    assert {attempt["outcome"] for attempt in answer.metadata["attempts"]} > {"ok"}  # type: ignore[attr-defined]
