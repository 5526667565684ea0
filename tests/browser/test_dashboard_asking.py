"""Whom the operator's page asks for a key, when it asks the gateway, and what it says while nobody answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboards import ADMIN, AUTH, CLIENT, HIDE, Door, card, guarded_in, shown
from tests.browser.sites import Site, site_in

pytestmark = pytest.mark.needs("chromium")

LATER = 6_000
"""Milliseconds after which the page has asked again, if all is well."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with guarded_in(tmp_path_factory.mktemp("guarded")) as found:
        yield found


def test_the_admin_key_is_asked_for_refused_when_wrong_and_kept_in_the_tab_alone(guarded: Site, page: Page) -> None:
    page.goto(f"{guarded.origin}/dashboard")
    gate, key = page.locator("#gate"), page.get_by_label("Key", exact=True)
    expect(gate).to_be_visible()
    expect(page.locator("#board")).to_be_hidden()
    expect(key).to_be_focused()
    for wrong in ("no-such-key", CLIENT):
        key.fill(wrong)
        # The alert of the key before still stands: what is waited for is this one's refusal.
        with page.expect_response(lambda answer: "/admin/" in answer.url and answer.status in (401, 403)):
            key.press("Enter")
        page.wait_for_function("sessionStorage.length === 0")
        expect(page.get_by_role("alert")).to_contain_text("refused this key")
        expect(key).to_have_value("")
    key.fill(ADMIN)
    key.press("Enter")
    shown(page)
    expect(gate).to_be_hidden()
    assert page.evaluate("Object.values(sessionStorage)") == [ADMIN]
    assert page.evaluate("[localStorage.length, document.cookie, location.href.includes('key')]") == [0, "", False]
    page.reload()
    shown(page)
    page.get_by_role("button", name="Forget key").click()
    expect(gate).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_where_no_admin_key_is_configured_the_page_says_so(tmp_path: Path, page: Page) -> None:
    with site_in(tmp_path, {"auth": {"mode": "keys", "keys": AUTH["keys"]}}) as site:
        page.goto(f"{site.origin}/dashboard")
        expect(page.get_by_role("alert")).to_contain_text("auth.admin_key is not configured")


def test_a_hidden_tab_asks_nothing_and_catches_up_when_it_is_seen(site: Site, page: Page) -> None:
    door = Door(page)
    page.clock.install()
    page.goto(f"{site.origin}/dashboard")
    shown(page)
    page.clock.fast_forward(LATER)
    expect(page.locator("#pulse-text")).to_have_text("Live, just now")
    before = door.asked
    assert before >= 2
    page.evaluate(HIDE, True)
    expect(page.locator("#pulse")).to_have_attribute("data-state", "hidden")
    for _ in range(5):
        page.clock.fast_forward(LATER)
    assert door.asked == before
    page.evaluate(HIDE, False)
    shown(page)
    assert door.asked == before + 1


def test_it_asks_less_and_less_while_nobody_answers_and_says_when_it_is_back(site: Site, page: Page) -> None:
    door = Door(page)
    page.clock.install()
    page.goto(f"{site.origin}/dashboard")
    shown(page)
    door.shut = True
    page.clock.fast_forward(LATER)
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The gateway does not answer")
    expect(card(page, "sketch")).to_be_visible()
    waits = []
    for _ in range(3):
        text = page.locator("#trouble-text")
        expect(text).to_contain_text("The next try is in")
        wait = int(re.findall(r"(\d+) s", text.inner_text())[-1])
        waits.append(wait)
        before = door.asked
        page.clock.fast_forward((wait + 1) * 1000)
        expect(text).not_to_have_text(re.compile("Trying"))
        assert door.asked == before + 1
    assert waits[1] > 1.5 * waits[0]
    assert waits[2] > 1.5 * waits[1]
    door.shut = False
    page.get_by_role("button", name="Try now").click()
    shown(page)
    expect(trouble).to_be_hidden()
    expect(page.locator("#said")).to_have_text("Up to date again.")


def test_it_can_be_paused_by_keyboard(site: Site, page: Page) -> None:
    door = Door(page)
    page.clock.install()
    page.goto(f"{site.origin}/dashboard")
    shown(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#pulse")).to_have_attribute("data-state", "paused")
    before = door.asked
    page.clock.fast_forward(10 * LATER)
    assert door.asked == before
    page.keyboard.press("Enter")
    shown(page)
    assert door.asked == before + 1


def test_what_cannot_be_had_is_said_where_it_is_missed(site: Site, page: Page) -> None:
    envelope = {"error": {"message": "the disk is full", "type": "server_error", "param": None, "code": "storage_full"}}
    page.route("**/admin/usage*", lambda route: route.fulfill(status=503, json=envelope))
    page.goto(f"{site.origin}/dashboard")
    expect(page.locator("#usage-trouble")).to_have_text("the disk is full")
    expect(card(page, "sketch")).to_be_visible()
    expect(page.locator("#jobs-trouble")).to_be_hidden()
    expect(page.locator("#pulse")).to_have_attribute("data-state", "failing")
