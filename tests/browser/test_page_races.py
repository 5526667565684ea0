"""Answers that come late, out of order, broken or under another key: the last question is the one that counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.sites import Site
from tests.browser.test_gallery import FILL, make, remembered
from tests.browser.test_playground import STREAM, dot, opened, told

pytestmark = pytest.mark.needs("chromium")

SLOW_SEARCH = """() => {
  const ordinary = IDBIndex.prototype.openCursor;
  IDBIndex.prototype.openCursor = function (...given) {
    if (window.release) return ordinary.apply(this, given);
    const slow = { result: null };
    window.release = () => slow.onsuccess();
    return slow;
  };
}"""
"""The first search finds nothing, when the test says so."""

LIVING = """
window.living = new Set();
const [made, ended] = [URL.createObjectURL, URL.revokeObjectURL];
URL.createObjectURL = (blob) => {
  const address = made(blob);
  living.add(address);
  return address;
};
URL.revokeObjectURL = (address) => (living.delete(address), ended(address));
"""
"""The addresses of pictures that are held."""

TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def picture() -> dict[str, Any]:
    """The last event of a stream of one picture."""
    names = {"model": "sketch", "provider": "sketch", "executed_model": "sketch"}
    return {
        "type": "image_generation.completed",
        "image_index": 0,
        "size": "4x4",
        "output_format": "png",
        "b64_json": dot("red"),
        "metadata": {**names, "partial": False, "cost_micros": 0, "parameters": []},
    }


class Held:
    """Keeps the first request to an address until it is answered by `answer`; the others pass."""

    def __init__(self, page: Page, pattern: str, pass_on: Callable[[Route], None] = Route.continue_) -> None:
        self.first: Route | None = None
        self._pass_on = pass_on
        page.route(pattern, self._take)

    def _take(self, route: Route) -> None:
        if self.first is None:
            self.first = route
        else:
            self._pass_on(route)

    def answer(self, status: int, body: object) -> None:
        assert self.first is not None
        self.first.fulfill(status=status, json=body)


def test_a_slow_search_does_not_replace_what_a_later_one_found(page: Page, site: Site) -> None:
    opened(page, site)
    page.evaluate(FILL, 12)
    page.evaluate(SLOW_SEARCH)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell")).to_have_count(12)
    page.locator("#gallery-search").fill("number")
    page.wait_for_function("() => Boolean(window.release)")
    page.locator("#gallery-search").fill("number 11")
    expect(page.locator(".cell")).to_have_count(1)
    page.evaluate("release()")
    page.evaluate(TWO_FRAMES)
    assert page.locator(".cell").count() == 1


def test_an_answer_to_an_earlier_key_asks_for_no_key_again(page: Page, site: Site) -> None:
    held = Held(page, "**/v1/models")
    page.goto(site.origin)
    page.get_by_role("button", name="Key", exact=True).click()
    page.get_by_label("Key", exact=True).fill("the-right-key")
    page.get_by_role("button", name="Use key").click()
    page.locator("#model-0").wait_for(state="attached")
    with page.expect_response("**/v1/models"):
        error = {"message": "no such key", "type": "authentication_error", "param": None, "code": "invalid_api_key"}
        held.answer(401, {"error": error})
    page.evaluate(TWO_FRAMES)
    assert not page.locator("#key-dialog").is_visible()
    assert "asks for a key" not in (page.locator("#plan-body").text_content() or "")


def test_the_gallery_that_is_open_changes_with_the_key(page: Page, site: Site) -> None:
    opened(page, site)
    page.evaluate(FILL, 2)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell")).to_have_count(2)
    for key, count in (("another-key", 0), ("", 2)):
        page.locator("#key-open").click()
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator(".cell")).to_have_count(count)


def test_a_picture_is_remembered_for_the_key_that_it_was_asked_for_with(page: Page, site: Site) -> None:
    page.add_init_script(STREAM)
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(1)
    page.locator("#key-open").click()
    page.get_by_label("Key", exact=True).fill("another-key")
    page.get_by_role("button", name="Use key").click()
    told(page, **picture())
    page.evaluate("text => tell(text)", "data: [DONE]\n\n")
    expect(page.locator(".tile .caption")).to_have_count(1)
    page.evaluate('async () => (await import("/web/api.js")).keepKey("")')
    remembered(page, 1)
    page.evaluate('async () => (await import("/web/api.js")).keepKey("another-key")')
    remembered(page, 0)


def test_a_double_click_and_a_key_held_down_buy_once(page: Page, site: Site) -> None:
    opened(page, site)
    runs = page.locator(".run")
    page.locator("#prompt").fill("a lighthouse")
    page.locator("#make").dblclick()
    expect(runs.locator(".caption")).to_have_count(1)
    page.locator("#prompt").focus()
    page.keyboard.down("Control")
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    page.keyboard.up("Control")
    expect(runs.locator(".caption")).to_have_count(2)
    page.locator("#make").focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(runs.locator(".caption")).to_have_count(3)
    runs.first.get_by_role("button", name="Variations").dblclick()
    expect(runs.locator(".caption")).to_have_count(7)
    page.locator("#prompt").focus()
    page.keyboard.down("End")
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.locator("#prompt")).to_have_value("a lighthouse\n\n\n")
    assert runs.count() == 4


def test_a_run_that_has_left_the_page_holds_no_picture_once_it_is_over(page: Page, site: Site) -> None:
    page.add_init_script(STREAM)
    page.add_init_script(LIVING)
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(1)
    page.evaluate("() => { window.first = window.stream; }")
    for count in range(2, 22):
        page.locator("#make").click()
        expect(page.locator(".run")).to_have_count(min(count, 20))
    page.evaluate("() => { window.stream = window.first; }")
    told(page, **picture())
    page.evaluate("text => tell(text)", "data: [DONE]\n\n")
    expect(page.locator("#said")).to_contain_text("1 picture by sketch")
    page.evaluate(TWO_FRAMES)
    assert page.evaluate("living.size") == 0


def test_what_says_that_a_picture_is_gone_is_not_saved_as_one(page: Page, site: Site) -> None:
    opened(page, site)
    make(page, "a lighthouse")
    remembered(page, 1)
    page.goto(f"{site.origin}/#gallery")
    page.reload()
    gone = {"error": {"message": "no such picture", "type": "t", "param": None, "code": "not_found"}}

    def file(route: Route) -> None:
        route.fulfill(status=200 if route.request.method == "HEAD" else 404, body=json.dumps(gone))

    page.route("**/v1/images/files/**", file)
    page.locator(".cell .picture").click()
    page.get_by_role("button", name="Download").click()
    expect(page.locator("#said")).to_have_text("The gateway keeps this picture no more")


def test_a_plan_that_breaks_off_is_told_and_not_thrown(page: Page, site: Site) -> None:
    opened(page, site)
    page.route("**/v1/images/generations?dryRun=true", lambda route: route.fulfill(status=200, body='{"model": '))
    page.locator("#prompt").fill("A red fox")
    expect(page.locator("#plan-body")).to_contain_text("The answer broke off or is not JSON.")


def test_the_configuration_shown_is_the_one_that_was_asked_for_last(page: Page, site: Site) -> None:
    def later(route: Route) -> None:
        route.fulfill(json={"server": {"host": "the later"}})

    held = Held(page, "**/admin/config", later)
    page.goto(f"{site.origin}/dashboard")
    page.get_by_text("Configuration in force").click()
    page.wait_for_function("() => document.querySelector('#config').open")
    page.locator("#config-again").click()
    section = page.locator("#config-rows")
    expect(section).to_contain_text("the later")
    with page.expect_response("**/admin/config"):
        held.answer(200, {"server": {"host": "the earlier"}})
    page.evaluate(TWO_FRAMES)
    assert "the later" in (section.text_content() or "")
