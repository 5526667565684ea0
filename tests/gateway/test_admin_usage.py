"""GET /admin/usage: spans, groups, forms and what is said of a mistake."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import QueryParams

from gateway.admin.usage import row, span_of, written
from gateway.app import create_app
from gateway.container import Services
from gateway.services.attempts import new_id
from gateway.services.ledger import Entry, Row
from normalization.errors import InvalidValue
from tests.raw import PROVIDED
from tests.served import settings_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 10, 5, 30, 250_000, UTC).timestamp()
MORNING = datetime(2026, 11, 20, 23, 30, tzinfo=UTC).timestamp()


def span(query: str) -> tuple[str, str]:
    begin, end = span_of(QueryParams(query), NOW)
    return told(begin), told(end)


def told(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("query", "begin", "end"),
    [
        ("", "2026-10-23T00:00:00Z", "2026-11-21T10:05:31Z"),
        ("from=&to=", "2026-10-23T00:00:00Z", "2026-11-21T10:05:31Z"),
        ("from=2026-11-20&to=2026-11-21", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("to=2026-11-21", "2026-10-22T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("from=2026-11-20T23:30:00Z", "2026-11-20T23:30:00Z", "2026-11-21T10:05:31Z"),
        ("from=2026-11-20T23:30", "2026-11-20T23:30:00Z", "2026-11-21T10:05:31Z"),
        ("from=2026-11-20T23:30:00%2B02:00", "2026-11-20T21:30:00Z", "2026-11-21T10:05:31Z"),
        ("from=2026-11-20T23:30:00+02:00", "2026-11-20T21:30:00Z", "2026-11-21T10:05:31Z"),
        ("from=2026-11-20T23:30:00-05:30", "2026-11-21T05:00:00Z", "2026-11-21T10:05:31Z"),
        ("from=2026-11-20T23:30:00.5Z", "2026-11-20T23:30:00.500000Z", "2026-11-21T10:05:31Z"),
        ("from=1795217400&to=1795219200.5", "2026-11-20T23:30:00Z", "2026-11-21T00:00:00.500000Z"),
        ("from=20261120", "2026-11-20T00:00:00Z", "2026-11-21T10:05:31Z"),
        ("from=1970-01-01&to=9000-01-01", "1970-01-01T00:00:00Z", "9000-01-01T00:00:00Z"),
    ],
)
def test_a_span_is_told_in_utc_whatever_zone_it_was_asked_for_in(query: str, begin: str, end: str) -> None:
    assert span(query) == (begin, end)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("to=2026-11-20T25:00", "to"),
        ("to=176489280000000", "to"),
        ("from=0001-01-01", "from"),
        ("to=9999-12-31", "to"),
        ("from=0001-01-01T00:00:00%2B14:00", "from"),
        ("from=2026-11-20&to=2026-11-20", "to"),
        ("from=2026-11-21&to=2026-11-20", "to"),
        ("from=2026-12-24", "from"),
    ],
)
def test_a_span_that_is_none_is_refused_by_its_name(query: str, param: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        span(query)
    assert refused.value.param == param


@pytest.mark.parametrize("query", ["from=0001-01-01", "to=9999-12-31", "from=0001-01-01T00:00:00%2B14:00"])
def test_a_date_that_is_too_far_away_is_told_the_range(query: str) -> None:
    with pytest.raises(InvalidValue, match=r"is not between 1970-01-01 and 9000-12-31$"):
        span(query)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings_of(tmp_path, PROVIDED))
    services: Services = app.state.services
    try:
        await services.start()
        for number, name in enumerate(("=cmd()", "-1+1", "plain, with a comma", None)):
            await services.state.ledger.enter(
                Entry(
                    id=new_id(MORNING),
                    request_id=f"req_{number}",
                    generation_id=None,
                    key_name=name,
                    model="sketch",
                    endpoint="/v1/images/generations",
                    provider="draw",
                    status=200,
                    code=None,
                    images=number,
                    megapixels=0.1 * number,
                    bytes_out=10,
                    created=MORNING,
                    seconds=1.23456,
                )
            )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as made:
            yield made
    finally:
        await services.close()


async def usage(client: httpx.AsyncClient, **params: str) -> Any:
    span = {"from": "2026-11-20", "to": "2026-11-22"}
    return (await client.get("/admin/usage", params={**span, **params})).raise_for_status().json()


async def test_the_answer_has_the_shape_that_is_promised(client: httpx.AsyncClient) -> None:
    found = await usage(client)
    assert list(found) == ["from", "to", "group_by", "rows", "totals"]
    assert (found["from"], found["to"], found["group_by"]) == ("2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z", "day")
    (day,) = found["rows"]
    assert day == {
        "group": "2026-11-20",
        "requests": 4,
        "images": 6,
        "errors": 0,
        "upstream_calls": 0,
        "cost_usd": 0.0,
        "unknown_cost_calls": 0,
        "megapixels": 0.6,
        "bytes_out": 40,
        "p50_seconds": 1.235,
        "p95_seconds": 1.235,
    }
    assert found["totals"] == {name: value for name, value in day.items() if name != "group"}


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("hour", ["2026-11-20T23:00:00Z"]),
        ("key", ["", "-1+1", "=cmd()", "plain, with a comma"]),
        ("model", ["sketch"]),
        ("provider", ["draw"]),
        ("status", ["200"]),
    ],
)
async def test_every_group_has_its_rows_in_order(client: httpx.AsyncClient, group: str, names: list[str]) -> None:
    assert [each["group"] for each in (await usage(client, group_by=group))["rows"]] == names


async def test_days_are_those_of_utc_also_where_the_span_is_asked_for_in_another_zone(
    client: httpx.AsyncClient,
) -> None:
    tokyo = {"from": "2026-11-21T00:00:00+09:00", "to": "2026-11-22T00:00:00+09:00"}
    found = await usage(client, **tokyo)
    assert (found["from"], found["to"]) == ("2026-11-20T15:00:00Z", "2026-11-21T15:00:00Z")
    assert [each["group"] for each in found["rows"]] == ["2026-11-20"]
    berlin = await usage(client, **{"from": "2026-11-21T00:30:01+01:00", "to": "2026-11-22T00:00:00+01:00"})
    assert berlin["rows"] == []


async def test_csv_has_the_same_rows_and_runs_in_no_spreadsheet(client: httpx.AsyncClient) -> None:
    query = {"from": "2026-11-20", "to": "2026-11-22", "group_by": "key", "format": "csv"}
    response = await client.get("/admin/usage", params=query)
    assert response.headers["content-type"] == 'text/csv; charset=utf-8; header="present"'
    assert response.headers["content-disposition"] == 'attachment; filename="usage-2026-11-20-key.csv"'
    assert response.text.count("\r\n") == response.text.count("\n") == 5
    head, *body = csv.reader(io.StringIO(response.text, newline=""))
    (plain, *_) = (await usage(client, group_by="key"))["rows"]
    assert head == list(plain)
    assert [line[0] for line in body] == ["", "'-1+1", "'=cmd()", "plain, with a comma"]
    assert {line[head.index("cost_usd")] for line in body} == {"0.000000"}


@pytest.mark.parametrize("name", ["=1", "+1", "-1", "@x", "\tx", "\rx", '"quoted"', "two\nlines", "a,b", "ünï"])
def test_any_name_survives_csv_and_none_is_a_formula(name: str) -> None:
    text = written([row(Row(name, 1, 2, 0, 3, 1_234_567, 0, 0.5, 9, None, 2.0))])
    read = next(csv.DictReader(io.StringIO(text, newline="")))
    assert read["group"].removeprefix("'") == name
    assert read["group"][0] not in "=+-@\t\r"
    assert (read["cost_usd"], read["p50_seconds"], read["p95_seconds"]) == ("1.234567", "", "2.0")


@pytest.mark.parametrize(
    ("query", "param", "word"),
    [
        ({"group_by": "week"}, "group_by", "day, hour, key, model, provider, status"),
        ({"format": "xml"}, "format", "json, csv"),
        ({"from": "soon"}, "from", "2026-11-21"),
    ],
)
async def test_a_mistake_is_a_400_that_says_what_would_be_accepted(
    client: httpx.AsyncClient, query: dict[str, str], param: str, word: str
) -> None:
    response = await client.get("/admin/usage", params=query)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_value", param)
    assert word in error["message"]


async def test_what_was_just_answered_is_in_the_sums(client: httpx.AsyncClient) -> None:
    began = {"from": datetime.now(UTC).isoformat()}
    body = {"prompt": "a red fox", "size": "64x64", "response_format": "b64_json", "n": 2}
    sent = await client.post("/v1/images/generations", json=body)
    assert sent.status_code == 200
    found = (await client.get("/admin/usage", params={**began, "group_by": "provider"})).json()
    (drawn,) = found["rows"]
    assert drawn["group"] == "draw"
    assert (drawn["requests"], drawn["images"], drawn["upstream_calls"], drawn["cost_usd"]) == (1, 2, 2, 0.0)
    assert drawn["bytes_out"] == len(sent.content)
    assert drawn["megapixels"] == pytest.approx(2 * 64 * 64 / 1e6)
    assert 0 < drawn["p50_seconds"] <= drawn["p95_seconds"]
    assert datetime.fromisoformat(found["to"]).timestamp() >= time.time() - 60
    for query in ("?dryRun=true", "?dry_run"):
        assert (await client.post(f"/v1/images/generations{query}", json=body)).status_code == 200
    assert (await client.post("/v1/images/generations?dryRun=false", json={})).status_code == 400
    totals = (await client.get("/admin/usage", params=began)).json()["totals"]
    assert (totals["requests"], totals["errors"], totals["images"]) == (2, 1, 2)


async def test_a_stream_that_tells_a_failure_is_no_success(tmp_path: Path) -> None:
    config = {
        "providers": {"gone": {"type": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "k"}},
        "models": {"m": {"routes": [{"provider": "gone", "model": "x"}]}},
        "limits": {"retries": 0},
    }
    app = create_app(settings_of(tmp_path, config))
    services: Services = app.state.services
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            asked = {"model": "m", "prompt": "a fox", "stream": True}
            answer = await client.post("/v1/images/generations", json=asked)
            assert (answer.status_code, "event: error" in answer.text) == (200, True)
            found = await usage(client, group_by="status")
            assert [(row["group"], row["errors"]) for row in found["rows"]] == [("503", 1)]
    finally:
        await services.close()
