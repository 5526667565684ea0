"""images.edit as OpenAI's own clients send it: one picture, a list, a mask, with and without names and types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.clients.doors import OPENAI, through
from tests.clients.retouching import BLUE, CYAN, GREEN, RED, Retoucher, half_clear, plain, retouched
from tests.clients.speaking import Call, Client, Spoken, opened, speak, upload


def edit(image: Any, *, extra: Mapping[str, Any] | None = None, **arguments: Any) -> Call:
    given = {
        "image": image,
        "prompt": "the negative of it",
        "response_format": "b64_json",
        "size": "64x48",
        **arguments,
    }
    return Call("images.edit", {name: value for name, value in given.items() if value != ...}, extra or {})


ONE = {
    "bare bytes": upload(plain(RED)),
    "a name": upload(plain(RED), "fox.png"),
    "a name and a type": upload(plain(RED), "fox.png", "image/png"),
    "a wrong name and a wrong type": upload(plain(RED), "fox.jpg", "image/jpeg"),
    "an opened file": upload(plain(RED), "fox.png", how="file"),
    "webp": upload(plain(RED, "WEBP"), "fox.webp"),
    "a list of one": [upload(plain(RED))],
}
EVERYTHING: dict[str, Any] = {
    "n": 2,
    "size": "96x80",
    "quality": "high",
    "background": "opaque",
    "input_fidelity": "high",
    "output_format": "webp",
    "output_compression": 100,
    "user": "somebody",
}

REFUSED = {
    "no picture": edit([]),
    "no bytes": edit(upload(b"", "fox.png")),
    "text": edit(upload(b"no picture at all", "fox.png", "image/png")),
    "half a picture": edit(upload(plain(RED)[:60], "fox.png")),
    "mask of text": edit(upload(plain(RED)), mask=upload(b"no picture at all", "mask.png")),
    "size": edit(upload(plain(RED)), size="0x48"),
    "model": edit(upload(plain(RED)), model="no-such-model"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Retoucher]]:
    with retouched(tmp_path_factory.mktemp("edit")) as found:
        yield found


@pytest.fixture(scope="module", params=through("edit", *OPENAI))
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


def spoken(client: Client, base: str, call: Call) -> Spoken:
    return speak(client, base, {"only": call})["only"]


@pytest.fixture(scope="module")
def one_by_one(client: Client, gateway: tuple[str, Retoucher]) -> Mapping[str, Spoken]:
    return speak(client, gateway[0], {name: edit(image) for name, image in ONE.items()} | REFUSED)


@pytest.mark.parametrize("name", list(ONE))
def test_a_picture_arrives_however_it_is_handed_over(one_by_one: Mapping[str, Spoken], name: str) -> None:
    picture = one_by_one[name].picture()
    assert (picture.format, picture.size) == ("PNG", (64, 48))
    assert picture.convert("RGB").getcolors() == [(64 * 48, CYAN)]


@pytest.mark.parametrize(
    ("name", "exception", "status", "code"),
    [
        ("no picture", "BadRequestError", 400, "missing_required_parameter"),
        ("no bytes", "BadRequestError", 400, "invalid_image"),
        ("text", "BadRequestError", 400, "invalid_image"),
        ("half a picture", "BadRequestError", 400, "invalid_image"),
        ("mask of text", "BadRequestError", 400, "invalid_image"),
        ("size", "BadRequestError", 400, "invalid_value"),
        ("model", "NotFoundError", 404, "model_not_found"),
    ],
)
def test_what_cannot_be_edited_is_refused(
    one_by_one: Mapping[str, Spoken], name: str, exception: str, status: int, code: str
) -> None:
    error = one_by_one[name].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == (exception, status, code)
    assert name in ("no picture", "no bytes", "text", "half a picture") or error["param"] == name.split()[0]


def test_without_a_size_the_picture_keeps_its_shape(client: Client, gateway: tuple[str, Retoucher]) -> None:
    picture = spoken(client, gateway[0], edit(upload(plain(RED)), size=...)).picture()
    assert picture.width / picture.height == pytest.approx(64 / 48, rel=0.01)
    assert picture.convert("RGB").getcolors() == [(picture.width * picture.height, CYAN)]


@pytest.mark.parametrize("count", [2, 16])
def test_a_list_of_pictures_arrives_whole_and_in_order(
    client: Client, gateway: tuple[str, Retoucher], count: int
) -> None:
    base, retoucher = gateway
    colours = [RED, *[(0, 10 * place, 0) for place in range(1, count)]]
    call = edit([upload(plain(colour), f"{place}.png") for place, colour in enumerate(colours)])
    assert spoken(client, base, call).picture().convert("RGB").getpixel((0, 0)) == CYAN
    assert [opened(data).convert("RGB").getpixel((0, 0)) for data in retoucher.pictures] == colours


def test_a_mask_says_where(client: Client, gateway: tuple[str, Retoucher]) -> None:
    base, retoucher = gateway
    call = edit(upload(plain(RED)), mask=upload(half_clear(), "mask.png"))
    picture = spoken(client, base, call).picture().convert("RGB")
    assert picture.getpixel((2, 2)) == BLUE
    assert picture.getpixel((62, 46)) == (RED if retoucher.mask is None else CYAN)


def test_everything_at_once_is_heard(client: Client, gateway: tuple[str, Retoucher]) -> None:
    base, retoucher = gateway
    made = spoken(client, base, edit([upload(plain(GREEN)), upload(plain(RED))], **EVERYTHING))
    assert [(each.format, each.size) for each in made.pictures()] == [("WEBP", (96, 80))] * 2
    assert {"prompt", "n", "size", "quality", "input_fidelity", "output_compression", "user"} <= told(made)
    assert len(retoucher.pictures) == 2


def test_what_the_library_does_not_know_travels_in_brackets(client: Client, gateway: tuple[str, Retoucher]) -> None:
    base, retoucher = gateway
    options = {"image": {"steps": 4, "guidance_scale": 2.5}, "p": {"tags": ["a", "b"], "deep": {"flag": True}}}
    extra = {"seed": 3, "negative_prompt": "dogs", "flag": True, "provider_options": options}
    made = spoken(client, base, edit(upload(plain(RED)), extra=extra))
    assert {"seed", "negative_prompt", "steps", "guidance", "flag"} <= told(made)
    assert retoucher.fields["seed"] == "3"


def told(made: Spoken) -> set[str]:
    assert made.error is None, made.error
    return {entry["name"] for entry in made.answer["metadata"]["parameters"]}
