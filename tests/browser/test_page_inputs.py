"""Pictures to start from, however they come, and the form by keyboard alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.sites import Site
from tests.browser.test_playground import a_picture, made, opened

pytestmark = [pytest.mark.needs("chromium")]

CARRIED = """async () => {
  const canvas = document.createElement("canvas");
  canvas.width = 8;
  canvas.height = 6;
  canvas.getContext("2d").fillRect(0, 0, 8, 6);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  window.carried = new DataTransfer();
  carried.items.add(new File([blob], "carried.png", { type: "image/png" }));
}"""


def test_a_picture_is_pasted(page: Page, site: Site) -> None:
    opened(page, site)
    page.evaluate(CARRIED)
    page.evaluate("document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: carried, bubbles: true }))")
    expect(page.locator(".thumb img")).to_have_attribute("alt", "carried.png")
    expect(page.locator("#make")).to_have_text("Edit picture")


def test_text_is_pasted_into_the_prompt_as_ever(page: Page, site: Site) -> None:
    opened(page, site)
    prevented: bool = page.evaluate(
        """() => {
          const text = new DataTransfer();
          text.setData("text/plain", "a fox");
          const paste = new ClipboardEvent("paste", { clipboardData: text, bubbles: true, cancelable: true });
          return !document.querySelector("#prompt").dispatchEvent(paste);
        }"""
    )
    assert not prevented


def test_a_picture_is_dropped_anywhere(page: Page, site: Site) -> None:
    opened(page, site)
    page.evaluate(CARRIED)
    drag = "name => document.body.dispatchEvent(new DragEvent(name, { dataTransfer: carried, bubbles: true }))"
    page.evaluate(drag, "dragenter")
    expect(page.locator("#drop")).to_be_visible()
    page.evaluate(drag, "dragleave")
    expect(page.locator("#drop")).to_be_hidden()
    page.evaluate(drag, "dragenter")
    page.evaluate(drag, "drop")
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator(".thumb")).to_have_count(1)
    page.get_by_role("button", name="Remove carried.png").click()
    expect(page.locator(".thumb")).to_have_count(0)
    expect(page.locator("#make")).to_have_text("Make picture")


def test_the_plan_of_an_edit_sends_no_picture_of_mine(page: Page, site: Site, tmp_path: Path) -> None:
    opened(page, site)
    mine = a_picture(tmp_path, 1200, 900)
    page.locator("#inputs-file").set_input_files(mine)
    page.locator("#prompt").fill("the same at night")
    plan = page.locator("#plan-body")
    expect(plan).to_contain_text("sketch by sketch")
    plan.get_by_text("Every parameter, and what would be sent").click()
    expect(plan.locator(".code")).not_to_contain_text(sha256_of(mine))
    page.locator("#make").click()
    expect(made(page).locator(".caption")).to_contain_text("PNG")


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_everything_is_reached_by_keyboard(page: Page, site: Site) -> None:
    opened(page, site)
    page.keyboard.type("a lighthouse")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name: str = page.evaluate("document.activeElement.id || document.activeElement.value")
        reached.append(name)
        if name == "auto":
            page.keyboard.press("ArrowRight")
        if name == "n":
            page.keyboard.press("ArrowUp")
        if name == "make":
            break
    assert {"inputs-add", "model-0", "compare", "resolution", "n", "seed", "seed-roll", "output_format"} <= set(reached)
    expect(page.get_by_role("radio", name="1:1", exact=True)).to_be_checked()
    page.keyboard.press("Enter")
    run = made(page, 2)
    run.locator(".picture").first.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(run.locator(".picture").first).to_be_focused()
