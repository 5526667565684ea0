"""GET /admin/usage: what was asked for, what it came to and what it cost, as sums of the ledger."""

from __future__ import annotations

import csv
import io
import math
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.entering import entered
from gateway.container import Services
from gateway.services.ledger import Group, Row
from normalization.errors import InvalidValue

GROUPS: Final[tuple[Group, ...]] = get_args(Group)
FORMATS: Final = ("json", "csv")
DAYS: Final = 30
"""The span where none is named: today and the days before it."""
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9000
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet takes for a formula (owasp.org, "CSV Injection")."""

_UNIX_SECONDS = re.compile(r"\d{9,11}(\.\d{1,6})?")
"""As other answers tell times. Eight digits are a date."""
_OFFSET_SPELT_AS_SPACE = re.compile(r"(T[\d:.,]+) (\d\d:?\d\d)")


async def usage(request: Request) -> Response:
    """Sums by `group_by`, over what was created from `from` on and before `to`. Raises InvalidValue."""
    services: Services = request.app.state.services
    query = request.query_params
    group, format = _one_of(query, "group_by", GROUPS), _one_of(query, "format", FORMATS)
    begin, end = span_of(query, time.time())
    await entered(services)
    sums = await services.state.ledger.sums(begin, end, group)
    rows = [row(each) for each in sums.rows]
    if format == "csv":
        name = f"usage-{_told(begin)[:10]}-{group}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(written(rows), headers=headers, media_type='text/csv; charset=utf-8; header="present"')
    totals = {name: value for name, value in row(sums.totals).items() if name != "group"}
    return JSONResponse(
        {"from": _told(begin), "to": _told(end), "group_by": group, "rows": rows, "totals": totals},
    )


def span_of(query: QueryParams, now: float) -> tuple[float, float]:
    """The span that is asked for, in epoch seconds: `to` is not part of it. Raises InvalidValue."""
    end = _moment(query, "to")
    if end is None:  # a whole second, so that what is told is what was summed up
        end = datetime.fromtimestamp(math.ceil(now), UTC)
    begin = _moment(query, "from")
    if begin is None:
        last = end - timedelta(microseconds=1)
        begin = last.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    if begin >= end:
        raise InvalidValue(
            f"to: {_iso(end)} is not after from, {_iso(begin)}; `to` itself is not part of the span: a day is from "
            "itself to the next",
            param="to" if query.get("to") else "from",
        )
    return begin.timestamp(), end.timestamp()


def _moment(query: QueryParams, name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    if _UNIX_SECONDS.fullmatch(text):
        text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(text))).isoformat()
    # A plus sign that a client has not encoded arrives as a space.
    spelt = _OFFSET_SPELT_AS_SPACE.sub(r"\1+\2", text)
    try:
        moment = datetime.fromisoformat(spelt)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise _out_of_range(name, text) from None
    except ValueError:
        raise InvalidValue(
            f"{name}: {text[:100]!r} is neither a date, as 2026-11-21, which is its midnight in UTC, nor a date and a "
            "time, as 2026-11-21T10:00:00Z or 2026-11-21T11:00:00+01:00, nor Unix seconds",
            param=name,
        ) from None
    # Room for what is reckoned with it, at both ends of the calendar.
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise _out_of_range(name, text)
    return moment


def _out_of_range(name: str, text: str) -> InvalidValue:
    return InvalidValue(f"{name}: {text[:100]!r} is not between {FIRST_YEAR}-01-01 and {LAST_YEAR}-12-31", param=name)


def _one_of(query: QueryParams, name: str, words: tuple[Any, ...]) -> Any:
    given = query.get(name) or words[0]
    if given not in words:
        raise InvalidValue(f"{name}: {given[:100]!r} is none of {', '.join(words)}", param=name)
    return given


def row(sums: Row) -> dict[str, Any]:
    """A row as JSON tells it."""
    return {
        "group": sums.group,
        "requests": sums.requests,
        "images": sums.images,
        "errors": sums.errors,
        "upstream_calls": sums.upstream_calls,
        "cost_usd": sums.cost_micros / 1_000_000,
        "unknown_cost_calls": sums.unknown_cost_calls,
        "megapixels": round(sums.megapixels, 6),
        "bytes_out": sums.bytes_out,
        "p50_seconds": None if sums.p50_seconds is None else round(sums.p50_seconds, 3),
        "p95_seconds": None if sums.p95_seconds is None else round(sums.p95_seconds, 3),
    }


def written(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV (RFC 4180), a header first, dollars with six decimals. A name that a spreadsheet would run as a
    formula has an apostrophe before it."""
    file = io.StringIO(newline="")
    names = list(row(Row("", 0, 0, 0, 0, 0, 0, 0.0, 0, None, None)))
    table = csv.DictWriter(file, names)
    table.writeheader()
    for each in rows:
        group = each["group"]
        shown = f"'{group}" if group.startswith(FORMULAS) else group
        table.writerow({**each, "group": shown, "cost_usd": f"{each['cost_usd']:.6f}"})
    return file.getvalue()


def _told(at: float) -> str:
    return _iso(datetime.fromtimestamp(at, UTC))


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
