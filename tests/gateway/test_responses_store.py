"""Kept responses: read again as they were given, by the key that made them alone, for as long as pictures are kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.services.replicas.responses import SharedResponses
from gateway.services.responses import KeptPicture, KeptResponse, Responses
from gateway.services.responses_memory import MemoryResponses
from gateway.services.responses_sqlite import SqliteResponses
from gateway.services.storage_file import FileStorage
from normalization.errors import StateUnavailable, StorageFull
from tests.gateway.responding import TOOL, made, post, user
from tests.journeys import Journey, journey_to
from tests.served import served, settings_of

TOOLS = {"input": "a fox", "tools": [TOOL]}
BY_DATA = {"input": "a fox", "n": 2, "size": "32x32", "metadata": {"a": "ü\u2028"}}
BY_URL = {"input": "a fox", "size": "32x32", "response_format": "url"}


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    with journey_to("sketch", tmp_path) as found:
        yield found


def get(base_url: str, id: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{base_url}/responses/{id}", headers=headers, timeout=30)


def delete(base_url: str, id: str, **headers: str) -> httpx.Response:
    return httpx.delete(f"{base_url}/responses/{id}", headers=headers, timeout=30)


@pytest.mark.parametrize("body", [TOOLS, BY_DATA, BY_URL])
@pytest.mark.parametrize("storage", ["file", "memory"])
def test_a_response_is_read_again_byte_for_byte_until_it_is_deleted(
    tmp_path: Path, body: dict[str, Any], storage: str
) -> None:
    with journey_to("sketch", tmp_path, {"storage": {"url": storage}}) as journey:
        answer = post(journey.base_url, body)
        assert answer.status_code == 200
        id = answer.json()["id"]
        again = get(journey.base_url, id)
        assert (again.status_code, again.content) == (200, answer.content)
        assert again.headers["content-type"] == "application/json"
        assert again.json()["store"] is True
        gone = delete(journey.base_url, id)
        assert (gone.status_code, gone.json()) == (200, {"id": id, "object": "response", "deleted": True})
        for after in (get(journey.base_url, id), delete(journey.base_url, id)):
            assert (after.status_code, after.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_a_deleted_responses_pictures_go_with_it_and_no_others(tmp_path: Path, storage: str) -> None:
    with journey_to("sketch", tmp_path, {"storage": {"url": storage}}) as journey:
        stays, goes = (post(journey.base_url, {**BY_URL, "n": 2}) for _ in range(2))
        urls = [[part["image_url"] for part in each.json()["output"][0]["content"]] for each in (stays, goes)]
        assert delete(journey.base_url, goes.json()["id"]).status_code == 200
        assert [httpx.get(url, timeout=30).status_code for url in urls[0]] == [200, 200]
        assert [httpx.get(url, timeout=30).status_code for url in urls[1]] == [404, 404]
        for each, kept in ((stays, True), (goes, False)):
            generation = each.headers["x-generation-id"]
            again = httpx.get(f"{journey.base_url}/generations/{generation}", timeout=30).json()
            assert (again["status"], again["answer"] is not None) == ("succeeded", kept)
        if storage == "file":
            pictures = [path for path in (tmp_path / "data/pictures").rglob("*.*") if path.is_file()]
            assert len(pictures) == 2


def test_what_could_not_be_deleted_is_not_forgotten(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    id = made(journey.base_url, TOOLS)["id"]

    async def fails(_: FileStorage, name: str) -> None:
        raise StateUnavailable("the disk fails")

    with monkeypatch.context() as broken:
        broken.setattr(FileStorage, "delete", fails)
        assert delete(journey.base_url, id).status_code == 503
    assert get(journey.base_url, id).status_code == 200
    assert delete(journey.base_url, id).status_code == 200


def test_a_deletion_that_is_refused_changes_nothing(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = made(journey.base_url, TOOLS)

    async def refuses(*_: object) -> bool:
        raise StateUnavailable("Redis does not answer")

    with monkeypatch.context() as broken:
        for kind in (SqliteResponses, SharedResponses):
            broken.setattr(kind, "delete", refuses)
        assert delete(journey.base_url, answer["id"]).status_code == 503
    assert get(journey.base_url, answer["id"]).json() == answer
    assert delete(journey.base_url, answer["id"]).status_code == 200


def test_openais_client_reads_and_deletes(journey: Journey) -> None:
    tools: Any = [TOOL]
    first = journey.client.responses.create(model="m", input="a fox", tools=tools)
    again = journey.client.responses.retrieve(first.id)
    assert again.to_dict() == first.to_dict()
    journey.client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        journey.client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        journey.client.responses.create(model="m", input="blue", tools=tools, previous_response_id=first.id)
    with pytest.raises(openai.BadRequestError):
        list(journey.client.responses.retrieve(first.id, stream=True))


def test_what_is_not_to_be_stored_is_not(journey: Journey, tmp_path: Path) -> None:
    answer = made(journey.base_url, {**TOOLS, "store": False})
    assert answer["store"] is False
    assert get(journey.base_url, answer["id"]).status_code == 404
    assert list((tmp_path / "data/pictures").rglob("*.png")) == []


def test_pictures_lie_beside_the_database_and_both_outlive_the_process(tmp_path: Path) -> None:
    with journey_to("sketch", tmp_path) as journey:
        answer = post(journey.base_url, BY_DATA)
    rows = (tmp_path / "data/responses.sqlite3").read_bytes()
    for part in answer.json()["output"][0]["content"]:
        assert part["image_data"][:400].encode() not in rows
    assert len(list((tmp_path / "data/pictures").rglob("*.jpg"))) == 2
    assert (tmp_path / "data/responses.sqlite3").stat().st_mode & 0o077 == 0
    with journey_to("sketch", tmp_path) as journey:
        assert get(journey.base_url, answer.json()["id"]).content == answer.content


def test_a_response_whose_picture_is_gone_is_gone(journey: Journey, tmp_path: Path) -> None:
    answer = made(journey.base_url, TOOLS)
    (picture,) = (tmp_path / "data/pictures").rglob("*.png")
    picture.unlink()
    assert get(journey.base_url, answer["id"]).status_code == 404
    after = post(journey.base_url, {**TOOLS, "previous_response_id": answer["id"]})
    assert (after.status_code, after.json()["error"]["param"]) == (404, "previous_response_id")


def test_another_key_finds_nothing_and_deletes_nothing(tmp_path: Path) -> None:
    config = {
        "auth": {"keys": [{"name": "one", "key": "ig_one"}, {"name": "two", "key": "ig_two"}]},
        "providers": {"p": {"type": "sketch"}},
        "models": {"m": {"routes": [{"provider": "p", "model": "sketch"}]}},
    }
    mine, theirs = {"authorization": "Bearer ig_one"}, {"authorization": "Bearer ig_two"}
    with served(settings_of(tmp_path, config)) as base_url:
        answer = made(base_url, TOOLS, **mine)
        id, item = answer["id"], answer["output"][0]["id"]
        assert post(base_url, TOOLS).status_code == 401
        assert get(base_url, id).status_code == 401
        assert get(base_url, id, **theirs).status_code == 404
        assert delete(base_url, id, **theirs).status_code == 404
        said = [user("make it blue"), {"type": "image_generation_call", "id": item}]
        assert post(base_url, {**TOOLS, "previous_response_id": id}, **theirs).status_code == 404
        assert post(base_url, {**TOOLS, "input": said}, **theirs).status_code == 404
        assert post(base_url, {**TOOLS, "input": said}, **mine).status_code == 200
        assert get(base_url, id, **mine).status_code == 200


def test_a_response_without_a_picture_is_a_request_too(tmp_path: Path) -> None:
    config = {
        "auth": {"keys": [{"name": "one", "key": "ig_one", "requests_per_minute": 1}]},
        "providers": {"p": {"type": "sketch"}},
        "models": {"m": {"routes": [{"provider": "p", "model": "sketch"}]}},
    }
    with served(settings_of(tmp_path, config)) as base_url:
        answers = [post(base_url, {**TOOLS, "tool_choice": "none"}, authorization="Bearer ig_one") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_a_key_draws_with_the_models_it_may_whatever_the_tool_names(tmp_path: Path) -> None:
    route = {"routes": [{"provider": "p", "model": "sketch"}]}
    config = {
        "auth": {"keys": [{"name": "one", "key": "ig_one", "models": ["other"]}]},
        "providers": {"p": {"type": "sketch"}},
        "models": {"m": route, "other": route},
        "default_model": "m",
    }
    with served(settings_of(tmp_path, config)) as base_url:
        mine = {"authorization": "Bearer ig_one"}
        for model, tool, status in (
            ("gpt-5", None, 403),
            ("m", None, 403),
            ("other", "m", 403),
            ("m", "other", 200),
            ("other", None, 200),
        ):
            body = {"model": model, "input": "a fox", "tools": [{**TOOL, "model": tool}]}
            answer = post(base_url, body, **mine)
            assert answer.status_code == status, (model, tool)
            if status == 403:
                assert answer.json()["error"]["param"] == ("tools[0].model" if tool else "model")


def test_a_disk_that_fails_loses_no_answer(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> str:
        raise StorageFull("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(FileStorage, "put", full)
        answer = made(journey.base_url, BY_URL)
        assert answer["store"] is False
        assert "image_data" in answer["output"][0]["content"][0]
        answer = made(journey.base_url, {**TOOLS, "tool_choice": "none"})
        assert answer["store"] is True
    with monkeypatch.context() as patched:
        patched.setattr(FileStorage, "check", full)
        answer = made(journey.base_url, {**TOOLS, "tool_choice": "none"})
        assert answer["store"] is False
    with monkeypatch.context() as patched:
        patched.setattr(SqliteResponses, "keep", full)
        answer = made(journey.base_url, TOOLS)
        assert answer["store"] is False
    assert get(journey.base_url, answer["id"]).status_code == 404


@pytest.fixture(params=["sqlite", "memory"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Responses]:
    store: Responses = SqliteResponses(tmp_path) if request.param == "sqlite" else MemoryResponses()
    yield store
    await store.close()


def response(id: str, owner: str | None = None, expires: float = 100.0, item: str = "ig_1") -> KeptResponse:
    pictures = (KeptPicture(item, f"{id}-a.png"), KeptPicture(item, f"{id}-b.png"))
    return KeptResponse(id, owner, expires, ("{ü".encode(), f"{id}-a.png", b"}"), pictures)


@pytest.mark.anyio
async def test_what_is_kept_is_found_by_its_owner_before_its_time_is_over(kept: Responses) -> None:
    mine = response("resp_1", "me")
    await kept.keep(mine)
    assert await kept.find("resp_1", "me", 99.0) == mine
    for owner, now in (("you", 0.0), (None, 0.0), ("me", 100.0)):
        assert await kept.find("resp_1", owner, now) is None
        assert await kept.pictures("resp_1", owner, now) is None
        assert await kept.pictures("ig_1", owner, now) is None
        assert await kept.delete("resp_1", owner, now) is False
    assert await kept.pictures("resp_1", "me", 0.0) == mine.pictures
    assert await kept.pictures("ig_1", "me", 0.0) == mine.pictures
    assert await kept.delete("resp_1", "me", 0.0) is True
    assert await kept.pictures("ig_1", "me", 0.0) is None


@pytest.mark.anyio
async def test_nobodys_responses_are_nobodys(kept: Responses) -> None:
    await kept.keep(response("resp_1"))
    assert await kept.find("resp_1", None, 0.0) is not None
    assert await kept.find("resp_1", "me", 0.0) is None


@pytest.mark.anyio
async def test_a_response_without_pictures_is_known_to_have_none(kept: Responses) -> None:
    await kept.keep(KeptResponse("resp_1", None, 100.0, (b"{}",)))
    assert await kept.pictures("resp_1", None, 0.0) == ()
    assert await kept.pictures("resp_2", None, 0.0) is None


@pytest.mark.anyio
async def test_a_later_answer_of_the_same_id_takes_the_place(kept: Responses) -> None:
    await kept.keep(response("resp_1", item="ig_1"))
    await kept.keep(response("resp_1", item="ig_2"))
    assert await kept.pictures("ig_1", None, 0.0) is None
    assert len(await kept.pictures("ig_2", None, 0.0) or ()) == 2


@pytest.mark.anyio
async def test_what_has_expired_is_swept(kept: Responses) -> None:
    for place in range(4):
        await kept.keep(response(f"resp_{place}", expires=100.0 + place, item=f"ig_{place}"))
    assert await kept.sweep(101.0) == 2
    assert await kept.sweep(101.0) == 0
    assert await kept.find("resp_1", None, 0.0) is None
    assert await kept.pictures("ig_1", None, 0.0) is None
    assert await kept.find("resp_2", None, 0.0) is not None


@pytest.mark.anyio
async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteResponses(tmp_path)
    await store.close()
    await store.close()
    with pytest.raises(StateUnavailable):
        await store.find("resp_1", None, 0.0)


@pytest.mark.anyio
async def test_trouble_with_the_file_is_the_operators_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    store = SqliteResponses(tmp_path)
    await store.keep(response("resp_1"))
    with closing(sqlite3.connect(tmp_path / "responses.sqlite3", isolation_level=None)) as other:
        other.execute("ALTER TABLE response_pictures RENAME TO away")
        with pytest.raises(StateUnavailable):
            await store.keep(response("resp_2"))
        other.execute("ALTER TABLE away RENAME TO response_pictures")
    assert await store.find("resp_2", None, 0.0) is None
    assert await store.find("resp_1", None, 0.0) is not None
    await store.close()


@pytest.mark.anyio
async def test_memory_drops_the_oldest() -> None:
    store = MemoryResponses(most_bytes=10)
    for id in ("a", "b", "c"):
        await store.keep(KeptResponse(id, None, 100.0, (b"12345",), (KeptPicture(f"ig_{id}", "x"),)))
    assert await store.find("a", None, 0.0) is None
    assert await store.pictures("ig_a", None, 0.0) is None
    assert await store.find("b", None, 0.0) is not None
    with pytest.raises(StorageFull):
        await store.keep(KeptResponse("d", None, 100.0, (b"12345678901",)))


def test_responses_expire_with_their_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with journey_to("sketch", tmp_path, {"storage": {"retention_seconds": 3600}}) as journey:
        id = made(journey.base_url, TOOLS)["id"]
        now = time.time()
        monkeypatch.setattr("gateway.api.responses.endpoint.time", Clock(now + 3590))
        assert get(journey.base_url, id).status_code == 200
        monkeypatch.setattr("gateway.api.responses.endpoint.time", Clock(now + 3601))
        assert get(journey.base_url, id).status_code == 404


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now
