"""The gallery: what this browser made, newest first, however much that is, and what it remembers of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.sites import Site

pytestmark = [pytest.mark.needs("chromium")]

FILL = """async (count) => {
  const { keep } = await import("/web/kept.js");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 16;
  canvas.getContext("2d").fillRect(0, 0, 16, 16);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  const entry = (index) => ({
    blob, index, prompt: `picture number ${index}`, model: "sketch", provider: "sketch", executed: "sketch",
    body: { model: "sketch", prompt: "p" }, strict: false, names: [], masked: false, cost: 0, count: 1, seconds: 0.1,
    parameters: [], repairs: [], size: "16x16", format: "png", seed: index, revised: null, generation: "gen_0",
    path: null, expires: null,
  });
  for (let first = 0; first < count; first += 100) {
    await keep(Array.from({ length: Math.min(100, count - first) }, (_, place) => entry(first + place)));
  }
}"""


THUMBS = """async () => {
  const { ids, recall } = await import("/web/kept.js");
  const found = await Promise.all((await ids()).map(recall));
  return found.map(({ thumb }) => ({ type: thumb.type, size: thumb.size }));
}"""


def make(page: Page, prompt: str) -> None:
    before = page.locator(".run").count()
    page.locator("#prompt").fill(prompt)
    page.locator("#make").click()
    expect(page.locator(".run")).to_have_count(before + 1)
    expect(page.locator(".run").first.locator(".caption")).to_have_count(1)


def remembered(page: Page, count: int) -> None:
    """Wait until so many pictures are written down."""
    page.evaluate(
        """async (count) => {
          const { ids } = await import("/web/kept.js");
          while ((await ids()).length !== count) await new Promise(requestAnimationFrame);
        }""",
        count,
    )


def test_pictures_are_there_newest_first_after_a_reload(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    make(page, "the first picture")
    make(page, "the second picture")
    remembered(page, 2)
    page.goto(f"{site.origin}/#gallery")
    page.reload()
    cells = page.locator("#gallery-grid .cell")
    expect(cells).to_have_count(2)
    expect(cells.nth(0)).to_contain_text("the second picture")
    expect(cells.nth(1)).to_contain_text("the first picture")
    expect(cells.nth(0)).to_contain_text("min left")
    expect(page.locator("#gallery-about")).to_contain_text("2 pictures")


def test_the_gateway_makes_the_small_pictures_with_the_large_ones(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    with page.expect_request(lambda request: request.method == "POST" and "dryRun" not in request.url) as asked:
        make(page, "a lighthouse")
    assert asked.value.headers["x-imagegate-thumbnail"] == "320"
    remembered(page, 1)
    page.goto(f"{site.origin}/#gallery")
    page.reload()
    picture = page.locator("#gallery-grid .cell img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [320, 320]
    [stored] = page.evaluate(THUMBS)
    assert stored["type"] == "image/webp"
    assert stored["size"] < 40_000


def test_a_picture_without_a_small_one_is_remembered_whole(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.evaluate(FILL, 1)
    page.goto(f"{site.origin}/#gallery")
    page.reload()
    picture = page.locator("#gallery-grid .cell img")
    expect(picture).to_have_js_property("naturalWidth", 16)


def test_a_picture_of_the_gallery_is_opened_whole_and_edited(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    make(page, "a lighthouse")
    remembered(page, 1)
    page.reload()
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("button", name="Open: a lighthouse").click()
    viewer = page.locator("#viewer")
    whole = viewer.locator(".large img:not(.preview)")
    expect(whole).to_have_attribute("alt", "a lighthouse")
    expect(viewer).to_contain_text("Receipt")
    assert whole.evaluate("async (node) => (await node.decode(), node.naturalWidth)") == 1024
    viewer.get_by_role("button", name="Edit this picture").click()
    expect(page.locator(".thumb")).to_have_count(1)
    expect(page.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true")


def test_a_link_that_has_expired_is_renewed(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    make(page, "a lighthouse")
    remembered(page, 1)
    page.evaluate(
        """async () => {
          const { ids, amend } = await import("/web/kept.js");
          await amend((await ids())[0], { path: "v1/images/files/gone.png?exp=1&sig=x", expires: 1000 });
        }"""
    )
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell")).to_contain_text("link expired")
    page.get_by_role("button", name="Open: a lighthouse").click()
    whole = page.locator("#viewer .large img:not(.preview)")
    assert whole.evaluate("async (node) => (await node.decode(), node.naturalWidth)") == 1024


def test_what_the_gateway_keeps_no_more_is_shown_small(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.evaluate(FILL, 1)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("button", name="Open: picture number 0").click()
    expect(page.locator("#viewer")).to_contain_text("keeps the picture no more")


def test_prompts_are_searched(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.evaluate(FILL, 30)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("searchbox", name="Search prompts").fill("NUMBER 17")
    expect(page.locator(".cell")).to_have_count(1)
    expect(page.locator(".cell")).to_contain_text("picture number 17")
    page.get_by_role("searchbox", name="Search prompts").fill("a zebra")
    expect(page.locator("#gallery-empty")).to_have_text("No prompt holds these words.")


def test_a_thousand_pictures_are_a_few_at_a_time(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.evaluate(FILL, 1000)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#gallery-about")).to_contain_text("1000 pictures")
    expect(page.locator(".cell").first).to_be_visible()
    assert page.locator(".cell").count() < 80
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator('.cell[aria-posinset="1000"]')
    expect(last.locator("img")).to_be_visible()
    assert page.locator(".cell").count() < 80
    assert page.locator("img[src^='blob:']").count() < 80


def test_clearing_asks_first_and_then_forgets(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.evaluate(FILL, 3)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Keep").click()
    expect(page.locator(".cell")).to_have_count(3)
    page.get_by_role("button", name="Clear").click()
    page.locator("#sure").get_by_role("button", name="Clear").click()
    expect(page.locator("#gallery-empty")).to_contain_text("Nothing here yet")
    remembered(page, 0)


def test_each_key_sees_its_own(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.evaluate(FILL, 2)
    page.get_by_role("button", name="Key", exact=True).click()
    page.get_by_label("Key", exact=True).fill("another-key")
    page.get_by_role("button", name="Use key").click()
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#gallery-empty")).to_contain_text("Nothing here yet")
