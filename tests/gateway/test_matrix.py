"""The promise, for every model that an adapter knows: the official client gets exact pixels, number, format and
delivery, is told of every parameter what became of it, and nothing is sent that the dry run did not show.

A gateway on a real socket before the simulators, which refuse whatever the model's page does not allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from PIL import Image

from providers.registry import PROVIDERS
from tests.journeys import Journey, delivered, opened
from tests.matrix import Case, cases, every_provider
from tests.matrix_truth import TABLE, Arrival, degraded, family, size_due

OPENAIS_OWN = frozenset(
    {"n", "size", "quality", "response_format", "output_format", "output_compression", "background", "user"}
)
"""What the official client has arguments for; the rest travels as its `extra_body`."""


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Journey]]:
    with every_provider(tmp_path_factory.mktemp("matrix")) as started:
        yield started


@pytest.mark.parametrize("case", cases(), ids=str)
def test_what_is_asked_for_is_what_is_delivered_and_told(case: Case, journeys: Mapping[str, Journey]) -> None:
    journey, said = journeys[case.kind], case.said
    if journey.simulator is not None:
        journey.simulator.reset()
    body = {"model": case.name, "prompt": "a red fox", **said}
    shown = httpx.post(f"{journey.base_url}/images/generations?dryRun=true", json=body).raise_for_status().json()
    raw = journey.client.images.with_raw_response.generate(
        model=case.name,
        prompt="a red fox",
        **{name: value for name, value in said.items() if name in OPENAIS_OWN},
        extra_body={name: value for name, value in said.items() if name not in OPENAIS_OWN},
    )
    answer: Any = raw.parse()
    pictures = [opened(delivered(journey, item)) for item in answer.data]

    arrival = arrived(case, journey, shown)
    check_pictures(case, answer, pictures, arrival)
    check_delivery(case, answer, journey)
    check_seeds(said, answer, arrival)
    check_receipt(case, answer, raw.headers, degraded(arrival, case.row["shape"], said, pictures))
    check_dry_run(shown, journey, answer)


def arrived(case: Case, journey: Journey, shown: Mapping[str, Any]) -> Arrival:
    """What the provider received and made; what is drawn here is told by the plan."""
    if journey.simulator is None:
        bodies = [call["body"] for call in shown["plan"]["calls"]]
        return Arrival(bodies, [(body["width"], body["height"]) for body in bodies])
    simulator = journey.simulator
    assert not simulator.leaked, "a credential went to the file host"
    submissions = [each.json for each in simulator.submissions]
    assert {family(body["model"]) for body in submissions} == {family(case.model)}
    return Arrival(submissions, [size for size, _ in simulator.made])


def check_pictures(case: Case, answer: Any, pictures: list[Image.Image], arrival: Arrival) -> None:
    said, shape = case.said, case.row["shape"]
    assert len(pictures) == said["n"]
    assert answer.metadata["partial"] is False
    form = said.get("output_format", "png")
    assert {picture.format for picture in pictures} == {form.upper()}
    assert answer.output_format == form
    sizes = {picture.size for picture in pictures}
    assert len(sizes) == 1
    (size,) = sizes
    assert answer.size == f"{size[0]}x{size[1]}"
    due = size_due(arrival, shape)
    if due is not None:
        assert size == due
    elif size != TABLE[shape]:
        notes = [
            entry for entry in answer.metadata["parameters"] if entry["name"] in ("size", "aspect_ratio", "resolution")
        ]
        assert any("note" in entry for entry in notes), "a size that is not the table's, and not a word of it"
        assert all(made[side] >= size[side] for made in arrival.made for side in (0, 1)), "a wish was enlarged"


def check_delivery(case: Case, answer: Any, journey: Journey) -> None:
    by_url = case.said.get("response_format", "url") == "url"
    for item in answer.data:
        assert (item.url is not None) is by_url
        assert (item.b64_json is None) is by_url
    if by_url:
        address = answer.data[0].url
        assert address.startswith(f"{journey.base_url}/images/files/"), "not hosted by the gateway"
        extension = "jpg" if answer.output_format == "jpeg" else answer.output_format
        assert httpx.URL(address).path.endswith(f".{extension}")
        assert httpx.get(address.partition("?")[0]).status_code in (401, 403, 404), "served without its signature"


def check_seeds(said: Mapping[str, Any], answer: Any, arrival: Arrival) -> None:
    sent = arrival.values(frozenset({"seed"}))
    assert -1 not in sent
    told = [getattr(item, "seed", None) for item in answer.data]
    if said.get("seed") == 7 and sent:
        assert told == [7 + place for place in range(said["n"])]
        assert sorted(sent) == told, "a picture cannot be made again from the seed that is told of it"
    elif not sent:
        assert told == [None] * len(told)


def check_receipt(case: Case, answer: Any, headers: Mapping[str, str], due: set[str]) -> None:
    metadata, said = answer.metadata, case.said
    assert (metadata["provider"], metadata["executed_model"]) == (case.kind, case.model)
    names = [entry["name"] for entry in metadata["parameters"]]
    assert sorted(names) == sorted([*said, "prompt"]), "one entry for each parameter"
    requested = {entry["name"]: entry["requested"] for entry in metadata["parameters"]}
    assert requested == {"prompt": "a red fox", **said}
    noted = [entry["name"] for entry in metadata["parameters"] if "note" in entry]
    assert set(noted) == due
    assert headers.get("x-imagegate-degraded", "") == ",".join(noted)


def check_dry_run(shown: Mapping[str, Any], journey: Journey, answer: Any) -> None:
    plan = shown["plan"]
    assert [entry["name"] for entry in plan["parameters"]] == [entry["name"] for entry in answer.metadata["parameters"]]
    assert plan["lossless"] is not any("note" in entry for entry in plan["parameters"])
    if journey.simulator is not None:
        planned = [(call["method"], call["path"], call["body"]) for call in plan["calls"]]
        sent = [(each.method, each.path, each.json) for each in journey.simulator.submissions]
        assert sorted(sent, key=str) == sorted(planned, key=str)


@pytest.mark.parametrize("kind", list(PROVIDERS))
def test_more_pictures_than_anybody_may_ask_for_are_refused_before_anything_is_sent(
    kind: str, journeys: Mapping[str, Journey]
) -> None:
    journey = journeys[kind]
    if journey.simulator is not None:
        journey.simulator.reset()
    model = Case(kind, PROVIDERS[kind].known_models[0], {}).name
    answer = httpx.post(f"{journey.base_url}/images/generations", json={"model": model, "prompt": "a fox", "n": 11})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "n")
    assert journey.simulator is None or not journey.simulator.work
