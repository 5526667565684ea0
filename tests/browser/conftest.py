"""What the tests of the pages share: a Chromium, a gateway with simulators, and a tab that minds what it is told.

A tab's test fails for anything that the page throws, that the policy refuses, or that is logged as an error, besides
the browser's own line for an answer that is no success.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from scripts.test_needs import NEEDS
from tests.browser.sites import LAUNCH, WAIT_MILLISECONDS, Site, site_in

# Its own five seconds are those between two looks of the dashboard.
expect.set_options(timeout=WAIT_MILLISECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the whole session: as long as it is there, Playwright's own event loop counts as running in this thread,
    and no other test could run one."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=NEEDS["chromium"].path(), args=list(LAUNCH))
        yield found
        found.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Without keys, on loopback, where whoever comes is the admin too; its default model is `sketch`."""
    with site_in(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of its own, without a past."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(WAIT_MILLISECONDS)
    found = context.new_page()
    faults: list[str] = []
    found.on("pageerror", lambda error: faults.append(f"thrown: {error}"))
    found.on("console", lambda message: faults.extend(_fault(message)))
    yield found
    context.close()
    assert not faults


def _fault(message: ConsoleMessage) -> list[str]:
    ordinary = message.type != "error" or message.text.startswith("Failed to load resource")
    return [] if ordinary else [f"logged: {message.text}"]
