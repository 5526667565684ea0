"""Pictures in the prompt of generateImage: the AI SDK sends them to the endpoint for edits, without file names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.doors import through
from tests.clients.retouching import BLUE, CYAN, GREEN, RED, Retoucher, half_clear, plain, retouched
from tests.clients.speaking import VERCEL, Call, Client, opened, speak, upload

PROVIDERS = ("openai", "openai-compatible")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Retoucher]]:
    with retouched(tmp_path_factory.mktemp("edit")) as found:
        yield found


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", through("edit", VERCEL))
def test_pictures_in_the_prompt_are_edited(client: Client, provider: str, gateway: tuple[str, Retoucher]) -> None:
    base, retoucher = gateway
    given = {"model": "gpt-image-1", "prompt": "the negative of it", "size": "96x80"}
    settings = {"provider": provider}
    one = Call("images.edit", {**given, "image": upload(plain(RED))}, settings=settings)
    (picture,) = speak(client, base, {"one": one})["one"].pictures()
    assert (picture.size, picture.convert("RGB").getpixel((0, 0))) == ((96, 80), CYAN)
    two = Call("images.edit", {**given, "image": [upload(plain(RED)), upload(plain(GREEN))], "n": 2}, settings=settings)
    assert [picture.size for picture in speak(client, base, {"two": two})["two"].pictures()] == [(96, 80)] * 2
    assert [opened(data).convert("RGB").getpixel((0, 0)) for data in retoucher.pictures] == [RED, GREEN]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", through("edit", VERCEL))
def test_a_mask_says_where(client: Client, provider: str, gateway: tuple[str, Retoucher]) -> None:
    pictures = {"image": upload(plain(RED)), "mask": upload(half_clear())}
    given = {"model": "gpt-image-1", "prompt": "blue", "size": "64x48", **pictures}
    call = Call("images.edit", given, settings={"provider": provider})
    picture = speak(client, gateway[0], {"only": call})["only"].picture().convert("RGB")
    assert picture.getpixel((2, 2)) == BLUE
    assert picture.getpixel((62, 46)) != BLUE


@pytest.mark.parametrize("client", through("edit", VERCEL))
def test_what_is_no_picture_is_refused(client: Client, gateway: tuple[str, Retoucher]) -> None:
    call = Call("images.edit", {"model": "gpt-image-1", "prompt": "blue", "image": upload(b"no picture at all")})
    error = speak(client, gateway[0], {"only": call})["only"].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == ("AI_APICallError", 400, "invalid_image")
