"""The operator's page, as an operator uses it: what it shows is what the gateway says, now, and to nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.accessibility import grave_findings
from tests.browser.dashboards import ADMIN, CLIENT, ask, card, field, guarded_in, shown, told, unlocked
from tests.browser.sites import Site, site_in

pytestmark = pytest.mark.needs("chromium")

SUMS = ("requests", "errors", "images", "upstream_calls")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with guarded_in(tmp_path_factory.mktemp("guarded")) as found:
        yield found


def digits(cell: Locator) -> int:
    return int(cell.inner_text().replace(",", ""))


def test_sums_are_those_of_the_ledger_after_a_mixed_load(guarded: Site, page: Page) -> None:
    for model in ("sketch", "flux-2-dev", "flux-2-max", "any-model"):
        assert ask(guarded, model, n=2).status_code == 200
        assert ask(guarded, model, "another-client-key").status_code == 200
    assert ask(guarded, "sketch", n=99).status_code == 400
    unlocked(page, guarded)
    for group in ("model", "provider", "key", "status"):
        page.get_by_label("Group by").select_option(group)
        expect(page.locator("#sums thead th").first).to_have_text(group.capitalize())
        usage = told(guarded, f"usage?group_by={group}")
        assert usage["totals"]["requests"] >= 9
        rows = page.locator("#sums tbody tr")
        expect(rows).to_have_count(len(usage["rows"]))
        for row in usage["rows"]:
            line = page.locator(f'#sums tbody tr[data-group="{row["group"]}"]')
            assert {name: digits(line.locator(f'[data-sum="{name}"]')) for name in SUMS} == {
                name: row[name] for name in SUMS
            }
        totals = page.locator("#sums tfoot")
        assert {name: digits(totals.locator(f'[data-sum="{name}"]')) for name in SUMS} == {
            name: usage["totals"][name] for name in SUMS
        }
        cost = f"${usage['totals']['cost_usd']:.2f}"
        expect(totals.locator('[data-sum="cost_usd"]')).to_have_text(cost)
        expect(page.locator('[data-total="cost_usd"]')).to_have_text(cost)
        for name in ("requests", "images"):
            expect(page.locator(f'[data-total="{name}"]')).to_have_text(str(usage["totals"][name]))


def test_the_table_beneath_a_chart_adds_up_to_its_total(guarded: Site, page: Page) -> None:
    ask(guarded, "sketch")
    unlocked(page, guarded, "#time=1h&by=key")
    page.get_by_text("Requests as a table").click()
    table = page.get_by_role("region", name="Requests over time").locator("table")
    expect(table.locator("thead th").last).to_have_text("All")
    steps = [int(text) for text in table.locator("tbody td:last-child").all_inner_texts()]
    assert len(steps) == 12
    assert sum(steps) == digits(page.locator('[data-total="requests"]')) >= 1
    expect(page.get_by_role("img", name=re.compile("^Requests, last hour, per 5 minutes"))).to_be_visible()


def test_what_happens_is_shown_without_a_reload(guarded: Site, page: Page) -> None:
    unlocked(page, guarded)
    page.evaluate("window.unreloaded = true")
    page.get_by_text("Pictures as a table").click()
    before = digits(page.locator('[data-total="requests"]'))
    assert ask(guarded, "sketch").status_code == 200
    expect(page.locator('[data-total="requests"]')).to_have_text(str(before + 1))
    expect(field(page, "sketch", "success_rate_5m")).to_have_text("100 %")
    assert page.evaluate("window.unreloaded")
    assert page.locator(".figures[open] table").count() == 3, "what was open stays open"


def test_a_provider_in_trouble_stands_out_with_its_last_error(guarded: Site, page: Page) -> None:
    guarded.simulators["modelverse"].fail_next(times=3, status=401)
    for _ in range(3):
        assert ask(guarded, "flux-kontext-max").status_code >= 400
    found = told(guarded, "health")["providers"]["modelverse"]
    assert found["circuit"] == "open"
    unlocked(page, guarded)
    expect(card(page, "modelverse").locator(".badge")).to_have_text("Circuit open")
    expect(field(page, "modelverse", "circuit")).to_have_text("open")
    expect(card(page, "modelverse").locator(".last")).to_contain_text(found["last_error"]["code"])
    expect(card(page, "sketch").locator(".badge")).to_have_text("Works")
    expect(page.locator("#overview")).to_contain_text("Degraded")


def test_jobs_under_way_are_listed_until_they_are_settled(guarded: Site, page: Page) -> None:
    guarded.simulators["apiframe"].fail_next(on="poll", delay=12.0)
    with httpx.Client(timeout=60, headers={"authorization": f"Bearer {CLIENT}"}) as client:
        body = {"model": "flux-2-max", "prompt": "a slow fox", "size": "64x64", "stream": True}
        with client.stream("POST", f"{guarded.api}/images/generations", json=body) as answer:
            unlocked(page, guarded)
            row = page.locator("#jobs tbody tr")
            expect(row).to_have_count(1)
            expect(row).to_contain_text("accepted")
            expect(row).to_contain_text("web-team")
            expect(row).to_contain_text("$0.07")
            expect(field(page, "apiframe", "in_flight")).to_have_text("1")
            answer.read()
    expect(page.locator("#jobs")).to_contain_text("Nothing is under way")


def test_a_gateway_that_nobody_has_used_says_that_there_is_nothing_yet(tmp_path: Path, page: Page) -> None:
    with site_in(tmp_path) as site:
        page.goto(f"{site.origin}/dashboard")
        shown(page)
        expect(page.locator("#usage-sums")).to_contain_text("Nothing was asked for")
        expect(page.locator("#jobs")).to_contain_text("Nothing is under way")
        expect(field(page, "sketch", "success_rate_5m")).to_have_text("no calls")
        expect(page.locator("#overview")).to_contain_text("Everything works")


def test_the_configuration_is_searched_and_tells_no_secret(guarded: Site, page: Page) -> None:
    unlocked(page, guarded)
    page.get_by_text("Configuration in force").click()
    section = page.locator("#config-rows details").filter(has=page.get_by_text("providers", exact=True))
    expect(section).not_to_have_attribute("open", "")
    page.get_by_label("Search").fill("APIFRAME api_key")
    rows = page.locator(".setting:visible")
    expect(rows).to_have_count(1)
    expect(rows).to_have_text("apiframe.api_keyset")
    page.get_by_label("Search").fill("no such setting")
    expect(page.locator("#config-found")).to_contain_text("No setting")
    page.get_by_label("Search").fill("")
    content = page.content()
    assert told(guarded, "config")["limits"]["breaker_failures"] == 3
    for secret in (ADMIN, CLIENT, "a-simulated-key"):
        assert secret not in content


def test_the_sums_can_be_had_as_a_file(guarded: Site, page: Page) -> None:
    ask(guarded, "sketch")
    unlocked(page, guarded, "#time=24h&by=key")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert re.fullmatch(r"usage-\d{4}-\d\d-\d\d-key\.csv", download.value.suggested_filename)
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("group,requests,")
    assert any(line.startswith("web-team,") for line in lines)


PAYLOADS = (
    "<img src=x onerror=window.hit=1>",
    "<script>window.hit=1</script>",
    '"><svg/onload=window.hit=1>',
    "javascript:window.hit=1",
    "{{constructor.constructor('window.hit=1')()}}",
    "</code><iframe srcdoc='<script>parent.hit=1</script>'>",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_names_are_text_and_nothing_else(site: Site, page: Page, payload: str) -> None:
    genuine = httpx.get(f"{site.origin}/admin/health").json()
    provider = {**genuine["providers"]["sketch"], "type": payload, "status": payload, "circuit": payload}
    provider |= {"models": [payload], "last_error": {"at": 1, "code": payload}}
    health = {**genuine, "version": payload, "status": payload, "providers": {payload: provider}}
    sums = {"requests": 2, "errors": 1, "images": 2, "upstream_calls": 2, "cost_usd": 0.5, "unknown_cost_calls": 0}
    sums |= {"megapixels": 1.0, "bytes_out": 1, "p50_seconds": 1.0, "p95_seconds": 2.0}
    usage = {"rows": [{"group": payload, **sums}, {"group": f"{payload} 2", **sums}], "totals": sums}
    job = {name: payload for name in ("id", "generation_id", "provider", "model", "key", "state", "job")}
    jobs = {"jobs": [{**job, "images": 1, "age_seconds": 5.0, "planned_cost_usd": None}]}
    answers = {"health": health, "usage": usage, "jobs": jobs, "config": {payload: {payload: payload}}}
    page.route(
        "**/admin/*", lambda route: route.fulfill(json=answers[re.findall(r"admin/(\w+)", route.request.url)[0]])
    )
    page.goto(f"{site.origin}/dashboard")
    shown(page)
    page.get_by_text("Configuration in force").click()
    page.locator("#config-rows summary").click()
    page.get_by_text("Requests as a table").click()
    page.locator(".bars").first.hover()
    for place in (
        ".provider h3",
        ".provider .last code",
        ".provider .models",
        "#sums",
        "#usage-legend",
        "#config-rows dd",
    ):
        expect(page.locator(place).first).to_contain_text(payload)
    expect(page.locator("#jobs tbody td")).to_contain_text(["5 s", *[payload] * 3, "1", "unknown", *[payload] * 3])
    assert page.evaluate("window.hit") is None
    assert page.locator("main :is(img, iframe, script, svg[onload])").count() == 0


def test_a_hostile_error_is_text_too(site: Site, page: Page) -> None:
    message = " ".join(PAYLOADS)
    error = {"error": {"message": message, "type": "x", "param": None, "code": "admin_required"}}
    page.route("**/admin/*", lambda route: route.fulfill(status=403, json=error))
    page.goto(f"{site.origin}/dashboard")
    expect(page.get_by_role("alert")).to_contain_text(message)
    assert page.evaluate("window.hit") is None


@pytest.mark.needs("clients-of-npm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(guarded: Site, page: Page, scheme: Any) -> None:
    for model in ("sketch", "flux-2-dev", "any-model"):
        ask(guarded, model)
    guarded.simulators["openai"].fail_next(times=3, status=401)
    for _ in range(3):
        ask(guarded, "any-model")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{guarded.origin}/dashboard")
    expect(page.locator("#gate")).to_be_visible()
    assert grave_findings(page) == []
    unlocked(page, guarded)
    page.get_by_text("Configuration in force").click()
    page.locator("#config-rows summary").first.click()
    page.get_by_text("Cost as a table").click()
    assert grave_findings(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert grave_findings(page) == []


@pytest.mark.parametrize("width", [320, 390, 820, 1440])
def test_nothing_scrolls_sideways_but_tables_in_their_own_box(browser: Browser, guarded: Site, width: int) -> None:
    long = "a-name-that-is-as-long-as-names-come-" * 4
    ask(guarded, "sketch")
    context = browser.new_context(viewport={"width": width, "height": 844}, is_mobile=width < 800, locale="en-US")
    page = context.new_page()
    page.route("**/admin/usage*", lambda route: renamed(route, long))
    unlocked(page, guarded)
    page.get_by_text("Configuration in force").click()
    page.locator("#config-rows summary").nth(1).click()
    page.get_by_text("Cost as a table").click()
    expect(page.locator("#sums")).to_contain_text(long)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def renamed(route: Route, name: str) -> None:
    """The answer, with the first group under another name."""
    answer = route.fetch()
    usage = answer.json()
    for row in usage.get("rows", [])[:1]:
        row["group"] = name
    route.fulfill(response=answer, json=usage)
