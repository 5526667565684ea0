"""The FLUX worker's HTTP over an engine without weights: MAX's wire, its limits, and how the worker tells of itself."""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image, PngImagePlugin

from providers.flux_worker.protocol import Response
from providers.flux_worker.worker.desk import Serving
from providers.flux_worker.worker.pictures import from_data_uri
from providers.flux_worker.worker.reading import Bounds
from providers.flux_worker.worker.shelf import Full, Shelf
from providers.flux_worker.worker.work import BadPicture, OutOfMemory
from tests.providers.fake_engine import KLEIN, FakeEngine, colour
from tests.providers.worker_served import Served, worker
from tests.providers.worker_wire import MODEL, body, data_uri, error, message, pictures, post


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def served(engine: FakeEngine) -> Iterator[Served]:
    with worker(engine) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.base, timeout=20, trust_env=False) as client:
        yield client


def test_an_answer_is_max_s_own_and_a_png_tells_how_it_came_about(client: httpx.Client) -> None:
    answer = post(client, body(width=256, height=128, steps=3))
    assert answer.status_code == 200
    Response.model_validate(answer.json())
    told = answer.json()
    assert "type" not in told["output"][0]
    assert told["output"][0]["content"][0]["imagegate"] | {"seconds": 0, "waited": 0} == {
        "seed": 7,
        "steps": 3,
        "skipped": 0,
        "seconds": 0,
        "waited": 0,
    }
    assert told["usage"]["image_generation_details"]["image_count"] == 1
    (picture,) = pictures(answer)
    assert (picture.size, picture.getpixel((0, 0))) == ((256, 128), colour(7))
    assert isinstance(picture, PngImagePlugin.PngImageFile)
    assert picture.text == {"model": MODEL, "seed": "7", "steps": "3"}, "a distilled model reads no guidance"
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-imagegate-worker"]


def test_a_png_of_a_guided_model_tells_its_guidance() -> None:
    guided = FakeEngine(model=replace(KLEIN, guided=True))
    with worker(guided) as served, httpx.Client(base_url=served.base) as client:
        (picture,) = pictures(post(client, body(guidance_scale=2.5)))
    assert isinstance(picture, PngImagePlugin.PngImageFile)
    assert picture.text["guidance"] == "2.5"


def test_n_pictures_are_n_pieces_of_work_by_a_seed_of_their_own(client: httpx.Client, engine: FakeEngine) -> None:
    answer = post(client, body(num_images=3, seed=2**32 - 2))
    assert [work.seed for work in engine.seen] == [2**32 - 2, 2**32 - 1, 0]
    assert [picture.getpixel((0, 0)) for picture in pictures(answer)] == [colour(work.seed) for work in engine.seen]
    again = post(client, body(num_images=2, seed=None, ours={"seeds": [5, 9]}))
    assert [part["imagegate"]["seed"] for part in again.json()["output"][0]["content"]] == [5, 9]


def test_a_seed_that_nobody_gave_is_told(client: httpx.Client) -> None:
    seeds = {post(client, body(seed=None)).json()["output"][0]["content"][0]["imagegate"]["seed"] for _ in range(4)}
    assert len(seeds) > 1


def test_what_is_not_said_is_the_model_s_own(client: httpx.Client, engine: FakeEngine) -> None:
    answer = post(client, {"model": MODEL, "input": "a fox"})
    (work,) = engine.seen
    assert (work.steps, work.guidance, work.width, work.height) == (4, 1.0, 256, 256)
    assert answer.json()["output"][0]["content"][0]["format"] == "jpeg"
    assert pictures(answer)[0].format == "JPEG"


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_every_format_of_the_wire_is_made(client: httpx.Client, form: str) -> None:
    answer = post(client, body() | {"provider_options": {"image": {"output_format": form}}})
    assert pictures(answer)[0].format == form.upper()


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"provider_options": {"image": {"residual_threshold": 0.1}}}, "provider_options.image.residual_threshold"),
        ({"provider_options": {"image": {"seed": 1}}}, "provider_options.image.seed"),
        ({"provider_options": {"image": {"width": 120}}}, "provider_options.image.width"),
        ({"provider_options": {"image": {"height": 1000}}}, "provider_options.image.height"),
        ({"provider_options": {"image": {"steps": 0}}}, "provider_options.image.steps"),
        ({"provider_options": {"image": {"steps": 100000}}}, "provider_options.image.steps"),
        ({"provider_options": {"image": {"num_images": 11}}}, "provider_options.image.num_images"),
        ({"provider_options": {"image": {"strength": 0}}}, "provider_options.image.strength"),
        ({"provider_options": {"image": {"output_format": "avif"}}}, "provider_options.image.output_format"),
        ({"provider_options": {"image": {"width": 14144, "height": 14144}}}, "provider_options.image.width"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"input": []}, "input"),
        ({"input": message(prompt="x") * 2}, "input"),
        ({"imagegate": {"previews": 4}}, "previews"),
        ({"imagegate": {"previews_format": "avif"}}, "previews_format"),
        ({"imagegate": {"unheard": 1}}, "unheard"),
        ({"imagegate": {"seeds": [1, 2]}}, "imagegate.seeds"),
        ({"imagegate": {"mask": "data:,"}}, "imagegate.mask"),
        ({"imagegate": {"mode": "fill"}}, "imagegate.mode"),
    ],
)
def test_what_is_invalid_is_422_with_its_name_and_reaches_no_engine(
    client: httpx.Client, engine: FakeEngine, changed: dict[str, Any], param: str
) -> None:
    answer = post(client, body() | changed)
    assert answer.status_code == 422, answer.text
    told = error(answer)
    assert (told["code"], told["type"]) == ("422", "invalid_request_error")
    assert param in told["param"]
    assert engine.seen == []


def test_the_status_of_what_is_invalid_can_be_chosen(engine: FakeEngine) -> None:
    with worker(engine, Serving(bounds=Bounds(validation_status=400))) as served, httpx.Client() as client:
        answer = client.post(f"{served.base}/v1/responses", json=body(width=120))
    assert (answer.status_code, error(answer)["code"]) == (400, "400")


def test_bodies_that_are_no_request_are_400_and_too_many_bytes_413(engine: FakeEngine) -> None:
    bounds = Bounds(bytes=1000)
    with worker(engine, Serving(bounds=bounds)) as served, httpx.Client(base_url=served.base) as client:
        assert client.post("/v1/responses", content=b"{").status_code == 400
        assert client.post("/v1/responses", content=b"[]").status_code == 400
        assert client.post("/v1/responses", content=b"x" * 1001).status_code == 413

        def unsized() -> Iterator[bytes]:
            yield from [b"x" * 600] * 2

        assert client.post("/v1/responses", content=unsized()).status_code == 413


def test_a_prompt_is_refused_and_never_cut(client: httpx.Client, engine: FakeEngine) -> None:
    for prompt in ("x" * 201, "x" * 40_000, "  "):
        answer = post(client, body(prompt))
        assert answer.status_code == 400
        assert error(answer)["message"].startswith("Prompt ")
    assert engine.seen == []


def test_another_model_is_404_and_a_name_of_its_own_is_served(client: httpx.Client, engine: FakeEngine) -> None:
    answer = post(client, body() | {"model": "other"})
    assert answer.status_code == 404
    assert "Unknown model 'other'" in error(answer)["message"]
    with worker(engine, Serving(name="mine")) as served, httpx.Client(base_url=served.base) as named:
        assert named.post("/v1/responses", json=body() | {"model": "mine"}).json()["model"] == "mine"
        assert named.get("/v1/models").json()["data"][0]["id"] == "mine"


def test_an_address_of_a_picture_is_refused_and_nobody_is_called(client: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/cat.png"
        answer = post(client, body(message(address)))
        assert answer.status_code == 422
        assert "data: URIs" in error(answer)["message"]
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_pictures_are_read_upright_and_opaque(client: httpx.Client, engine: FakeEngine) -> None:
    clear = Image.new("RGBA", (300, 200), (10, 20, 30, 0))
    answer = post(client, body(message(data_uri(clear), data_uri(Image.new("RGB", (64, 64), "red"), "JPEG"))))
    assert answer.status_code == 200, answer.text
    (work,) = engine.seen
    assert (work.mode, [picture.size for picture in work.pictures]) == ("edit", [(300, 200), (64, 64)])
    assert work.pictures[0].getpixel((0, 0)) == (255, 255, 255)
    assert (work.width, work.height) == (288, 192)


def test_a_mask_is_what_is_transparent_or_else_what_is_white(client: httpx.Client, engine: FakeEngine) -> None:
    source = data_uri(Image.new("RGB", (64, 64), "red"))
    holed = Image.new("RGBA", (64, 64), "black")
    holed.paste((0, 0, 0, 0), (0, 0, 32, 64))
    plain = Image.new("L", (64, 64), 0)
    plain.paste(255, (0, 0, 32, 64))
    for mask in (holed, plain):
        assert post(client, body(message(source), ours={"mask": data_uri(mask)})).status_code == 200
    for work in engine.seen:
        assert work.mode == "inpaint"
        assert work.mask is not None
        assert (work.mask.mode, work.mask.getpixel((0, 0)), work.mask.getpixel((63, 0))) == ("L", 255, 0)


def test_untrusted_pictures_are_judged_by_their_header(client: httpx.Client, engine: FakeEngine) -> None:
    into = io.BytesIO()
    Image.new("1", (9000, 9000)).save(into, "PNG")
    bomb = "data:image/png;base64," + base64.b64encode(into.getvalue()).decode()
    damaged = data_uri(Image.new("RGB", (64, 64)))[:120]
    for uri in (bomb, damaged, "data:image/png;base64,!!!", "data:text/plain;base64,aGVsbG8=", "data:image/png,x"):
        answer = post(client, body(message(uri)))
        assert answer.status_code == 422, uri[:40]
        assert error(answer)["param"] == "input.image_url"
    many = [data_uri(Image.new("RGB", (16, 16)))] * 5
    assert "this model takes 4" in error(post(client, body(message(*many))))["message"]
    assert engine.seen == []


def test_a_full_queue_is_503_and_says_when_to_come_again(client: httpx.Client, engine: FakeEngine) -> None:
    answer = post(client, body(num_images=9))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert error(answer)["type"] == "api_error"
    assert engine.seen == []


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (OutOfMemory(), 500, "worker_oom"),
        (BadPicture(), 500, "bad_picture"),
        (RuntimeError("secret words"), 500, "500"),
    ],
)
def test_what_went_wrong_is_told_in_the_envelope_and_ends_the_siblings(
    client: httpx.Client, engine: FakeEngine, trouble: Exception, status: int, code: str
) -> None:
    engine.fails.append(trouble)
    answer = post(client, body(num_images=2, steps=200))
    assert (answer.status_code, error(answer)["code"]) == (status, code)
    assert "secret" not in answer.text
    engine.idle()
    assert (engine.failed, engine.made, engine.cancelled) == (1, 0, 1)


def test_a_client_that_leaves_takes_its_work_along(served: Served, engine: FakeEngine) -> None:
    engine.going.clear()
    for stream in (False, True):
        with httpx.Client(base_url=served.base, timeout=0.3) as client, pytest.raises(httpx.ReadTimeout):
            client.post("/v1/responses", json=body(steps=200) | {"stream": stream})
        engine.idle()
    assert (engine.cancelled, engine.made, served.desk.under_way) == (2, 0, 0)


def test_pictures_by_address_are_served_until_there_is_no_room(client: httpx.Client, served: Served) -> None:
    answer = post(client, body(response_format="url"))
    (part,) = answer.json()["output"][0]["content"]
    assert "image_data" not in part
    assert part["image_url"].startswith(f"{served.base}/v1/images/")
    fetched = client.get(part["image_url"])
    assert fetched.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(fetched.content)).size == (256, 256)
    assert client.get("/v1/images/unknown/content").status_code == 404
    # Options without any of a picture: MAX answers by address.
    assert "image_url" in post(client, body() | {"provider_options": {}}).json()["output"][0]["content"][0]
    served.desk.shelf = Shelf(bytes_most=10)
    full = post(client, body(response_format="url"))
    assert (full.status_code, error(full)["code"]) == (507, "507")


def test_the_shelf_keeps_the_young_and_lets_the_old_go() -> None:
    now = [0.0]
    shelf = Shelf(bytes_most=10, sure_seconds=60, clock=lambda: now[0])
    first = shelf.put(b"12345", "png")
    second = shelf.put(b"12345", "png")
    with pytest.raises(Full):
        shelf.put(b"1", "png")
    now[0] = 61.0
    third = shelf.put(b"1", "png")
    assert shelf.get(first) is None
    assert [kept.data for kept in (shelf.get(second), shelf.get(third)) if kept] == [b"12345", b"1"]


def test_before_the_model_is_loaded_it_is_alive_and_not_ready() -> None:
    with worker(None) as served, httpx.Client(base_url=served.base) as client:
        assert client.get("/health").status_code == 200
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "the model is being loaded")
        assert "retry-after" in ready.headers
        refused = post(client, body())
        assert (refused.status_code, error(refused)["code"]) == (503, "503")
        assert client.get("/v1/models").status_code == 503
        assert "imagegate_worker_ready 0.0" in client.get("/metrics").text
        engine = FakeEngine(ready=False)
        served.desk.load(lambda: engine)
        assert client.get("/ready").json()["reason"] == "the model is being warmed up"
        engine.ready = True
        assert client.get("/ready").json()["ready"] is True


def test_while_draining_work_ends_and_none_is_taken(served: Served, client: httpx.Client, engine: FakeEngine) -> None:
    engine.going.clear()
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(post(client, body())))
    asking.start()
    while not engine.seen:
        asking.join(0.01)
    draining = threading.Thread(target=served.desk.drain, args=(20.0,))
    draining.start()
    while not served.desk.draining:
        draining.join(0.01)
    with httpx.Client(base_url=served.base) as other:
        assert other.get("/ready").json()["reason"] == "the worker is shutting down"
        assert other.get("/health").status_code == 200
        assert post(other, body()).status_code == 503
    engine.going.set()
    asking.join(20)
    draining.join(20)
    assert [answer.status_code for answer in answers] == [200]


def test_a_model_that_cannot_be_loaded_is_told() -> None:
    def broken() -> FakeEngine:
        raise RuntimeError("no weights in /models/x")

    with worker(None) as served, httpx.Client(base_url=served.base) as client:
        with pytest.raises(RuntimeError):
            served.desk.load(broken)
        assert "no weights" in client.get("/ready").json()["reason"]


def test_what_the_worker_is_can_be_asked(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"]) == (MODEL, "model")
    assert model["imagegate"]["modes"] == ["edit", "generate", "img2img", "inpaint"]
    assert {"stream", "mask", "previews"} <= set(model["imagegate"]["abilities"])
    assert "version" in client.get("/version").json()
    assert client.get("/nowhere").json()["error"]["code"] == "404"
    assert client.get("/v1/responses").status_code == 405
    post(client, body())
    post(client, body(width=120))
    told = client.get("/metrics").text
    assert 'imagegate_worker_requests_total{status="200"} 1.0' in told
    assert 'imagegate_worker_requests_total{status="422"} 1.0' in told
    assert 'imagegate_worker_pictures_total{end="made"} 1.0' in told


def test_with_a_key_everything_but_the_signs_of_life_asks_for_it(engine: FakeEngine) -> None:
    with worker(engine, Serving(key="k-1")) as served, httpx.Client(base_url=served.base) as client:
        assert client.get("/health").status_code == client.get("/ready").status_code == 200
        for headers in ({}, {"authorization": "Bearer k-2"}, {"authorization": "k-1"}):
            answer = client.post("/v1/responses", json=body(), headers=headers)
            assert (answer.status_code, error(answer)["type"]) == (401, "authentication_error")
        assert client.get("/v1/models").status_code == 401
        right = {"authorization": "Bearer k-1"}
        assert client.post("/v1/responses", json=body(), headers=right).status_code == 200


def test_a_request_s_own_id_comes_back_where_it_is_one(client: httpx.Client) -> None:
    assert post(client, body(), **{"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert post(client, body(), **{"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_too_many_requests_under_way_are_503_before_their_bodies_are_read(engine: FakeEngine) -> None:
    with worker(engine, Serving(requests_most=0)) as served, httpx.Client(base_url=served.base) as client:
        answer = post(client, body())
        assert answer.status_code == 503
        assert "retry-after" in answer.headers


def test_an_engine_with_other_modes_is_asked_for_what_it_has() -> None:
    engine = FakeEngine(replace(KLEIN, modes=frozenset({"fill", "img2img"})))
    uri = data_uri(Image.new("RGB", (64, 64)))
    with worker(engine) as served, httpx.Client(base_url=served.base) as client:
        post(client, body(message(uri)))
        post(client, body(message(uri), ours={"mask": uri}))
        refused = post(client, body())
    assert [work.mode for work in engine.seen] == ["img2img", "fill"]
    assert refused.status_code == 422


def test_a_data_uri_may_be_written_in_any_case() -> None:
    assert from_data_uri("DATA:image/png;BASE64,aGk=") == b"hi"
