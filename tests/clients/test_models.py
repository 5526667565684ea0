"""models.list and models.retrieve by OpenAI's own clients, names with a slash included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from gateway.config import embedded
from tests.clients.doors import OPENAI, through
from tests.clients.speaking import OPENAI_JS, Call, Client, Spoken, speak
from tests.served import served

NAMES = ("sketch", "flux.2-max", "black-forest-labs/FLUX.2-dev", "black-forest-labs/flux-kontext-max/text-to-image")


def retrieve(client: Client, name: str) -> Call:
    return Call("models.retrieve", {"model_id" if client is OPENAI_JS else "model": name})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(embedded({}, tmp_path_factory.mktemp("models"))) as url:
        yield url


@pytest.fixture(scope="module", params=through("models", *OPENAI))
def spoken(request: pytest.FixtureRequest, base: str) -> Mapping[str, Spoken]:
    client: Client = request.param
    calls = {name: retrieve(client, name) for name in (*NAMES, "gpt-image-1", "no/such/model")}
    return speak(client, base, {"list": Call("models.list"), **calls})


def test_the_list_has_every_name_once(spoken: Mapping[str, Spoken]) -> None:
    names = [model["id"] for model in spoken["list"].answer]
    assert set(names) >= set(NAMES)
    assert len(names) == len(set(names))
    assert {model["object"] for model in spoken["list"].answer} == {"model"}
    assert all(isinstance(model["created"], int) and model["owned_by"] for model in spoken["list"].answer)


@pytest.mark.parametrize("name", [*NAMES, "gpt-image-1"])
def test_a_model_is_found_by_each_of_its_names(spoken: Mapping[str, Spoken], name: str) -> None:
    model = spoken[name].answer
    assert model["id"] == name
    assert "generate" in model["capabilities"]["operations"]


def test_an_unknown_name_is_not_found(spoken: Mapping[str, Spoken]) -> None:
    error = spoken["no/such/model"].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == ("NotFoundError", 404, "model_not_found")
    assert "no/such/model" in error["message"]
