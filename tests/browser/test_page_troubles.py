"""What the playground says of an answer that began well and went wrong, and how little it asks before it is let in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboards import CLIENT, guarded_in
from tests.browser.sites import Site
from tests.browser.test_playground import STREAM, a_picture, opened, told

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with guarded_in(tmp_path_factory.mktemp("guarded")) as found:
        yield found


def begun(page: Page, site: Site) -> Locator:
    """A request whose stream has begun; the place where its trouble will be told."""
    page.add_init_script(STREAM)
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(1)
    page.evaluate("text => tell(text)", ": the work has begun\n\n")
    return page.get_by_role("alert")


@pytest.mark.parametrize("end", ["stream.error(new TypeError('network error'))", "stream.close()"])
def test_a_gateway_that_dies_in_the_middle_is_a_connection_lost(page: Page, site: Site, end: str) -> None:
    alert = begun(page, site)
    page.evaluate(end)
    expect(alert.locator("strong")).to_have_text("Connection lost")
    expect(alert).to_contain_text("may be charged")
    expect(alert).not_to_contain_text("status")


@pytest.mark.parametrize(
    ("error", "title", "shown"),
    [
        ({"type": "server_error", "code": "upstream_error"}, "No picture came", "upstream_error"),
        ({"type": "invalid_request_error", "code": "odd"}, "The request was refused", "odd"),
        ({"type": "server_error", "code": None}, "No picture came", "server_error"),
    ],
)
def test_an_error_within_a_stream_shows_its_code_and_no_status(
    page: Page, site: Site, error: dict[str, str | None], title: str, shown: str
) -> None:
    alert = begun(page, site)
    told(page, type="error", error={"message": "it went wrong", "param": None, **error})
    expect(alert.locator("strong")).to_have_text(title)
    expect(alert.locator(".mono")).to_contain_text(shown)
    expect(alert).not_to_contain_text("status")


@pytest.mark.parametrize(("path", "asks"), [("/", "#key-dialog"), ("/dashboard", "#gate")])
@pytest.mark.parametrize("key", ["", "wrong", CLIENT])
def test_who_is_not_let_in_fails_once(page: Page, guarded: Site, path: str, asks: str, key: str) -> None:
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.add_init_script(
        f"for (const role of ['client', 'admin']) sessionStorage.setItem(`imagegate.${{role}}`, '{key}')"
    )
    page.goto(f"{guarded.origin}{path}")
    if (path, key) == ("/", CLIENT):
        page.locator("#model-0").wait_for(state="attached")
    else:
        expect(page.locator(asks)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert len(failed) == (0 if (path, key) == ("/", CLIENT) else 1), failed


def test_what_a_mask_leaves_is_promised_only_where_the_gateway_lays_it_back(
    page: Page, site: Site, tmp_path: Path
) -> None:
    opened(page, site)
    page.locator("#inputs-file").set_input_files(a_picture(tmp_path))
    for model, rest in (("sketch", "the rest stays."), ("any-model", "the model is asked to leave the rest.")):
        page.locator("#model-0").select_option(model)
        page.get_by_role("button", name="Mask").click()
        expect(page.locator("#brush-help")).to_contain_text(re.compile(f"made anew; {re.escape(rest)}"))
        page.keyboard.press("Escape")


def test_a_seed_that_is_left_out_is_called_none(page: Page, site: Site) -> None:
    opened(page, site)
    expect(page.locator("#seed")).to_have_attribute("placeholder", "none")
