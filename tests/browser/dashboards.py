"""The operator's page in a tab, and the gateway behind it, as its tests need them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.sites import Site, site_in

ADMIN = "the-admin-key"
CLIENT = "the-client-key"
AUTH = {
    "mode": "keys",
    "admin_key": ADMIN,
    "keys": [{"name": "web-team", "key": CLIENT}, {"name": "batch", "key": "another-client-key"}],
}
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@contextmanager
def guarded_in(folder: Path) -> Iterator[Site]:
    """With an admin's key and two clients'; a circuit opens at the third failure in a row, and nothing is repeated."""
    with site_in(folder, {"auth": AUTH, "limits": {"breaker_failures": 3, "retries": 0}}) as found:
        yield found


def ask(site: Site, model: str, key: str = CLIENT, **more: Any) -> httpx.Response:
    body = {"model": model, "prompt": "a red fox", "size": "64x64", **more}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{site.api}/images/generations", json=body, headers=headers, timeout=60)


def told(site: Site, path: str) -> Any:
    answer = httpx.get(f"{site.origin}/admin/{path}", headers={"authorization": f"Bearer {ADMIN}"}, timeout=30)
    return answer.raise_for_status().json()


def shown(page: Page) -> None:
    """Wait until everything is there."""
    expect(page.locator("#pulse")).to_have_attribute("data-state", "live")
    expect(page.locator("#usage")).to_have_attribute("aria-busy", "false")


def unlocked(page: Page, site: Site, at: str = "") -> None:
    page.goto(f"{site.origin}/dashboard{at}")
    page.get_by_label("Key", exact=True).fill(ADMIN)
    page.get_by_role("button", name="Open the dashboard").click()
    shown(page)


def card(page: Page, provider: str) -> Locator:
    return page.locator(f'[data-provider="{provider}"]')


def field(page: Page, provider: str, name: str) -> Locator:
    return card(page, provider).locator(f'[data-field="{name}"]')


class Door:
    """What stands before /admin/health in the browser: it counts, and shuts on demand."""

    def __init__(self, page: Page) -> None:
        self.asked = 0
        self.shut = False
        page.route("**/admin/health", self._pass)

    def _pass(self, route: Route) -> None:
        self.asked += 1
        if self.shut:
            route.abort()
        else:
            route.continue_()
