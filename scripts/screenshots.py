"""`python -m scripts.screenshots`: the pictures of both pages in docs/images, taken by Chromium from a gateway that
draws with `sketch`, so that anybody gets the same without a key."""

from __future__ import annotations

import io
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from gateway.config.embedded import embedded
from scripts.files import ROOT
from scripts.test_needs import NEEDS, how_to_get
from tests.browser.sites import LAUNCH
from tests.served import served

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 860
MOST_BYTES = 200_000
COLOURS = (256, 192, 128, 96, 64)

PROMPT = "A lighthouse under the stars, seen from the sea"


def playground(page: Page, origin: str) -> None:
    """A prompt, its plan with a reason, and the pictures of it."""
    page.goto(origin)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill(PROMPT)
    page.get_by_role("radio", name="16:9").check(force=True)
    page.locator("#n").fill("4")
    page.locator("#seed").fill("11")
    page.locator("#more > summary").click()
    page.locator("#others").fill('{"guidance": 4}')
    page.locator("#more > summary").click()
    expect(page.locator("#plan-body .losses")).to_be_visible()
    page.locator("#make").click()
    expect(page.locator(".run .caption")).to_have_count(4)
    page.locator(".composer > .inside").evaluate("node => node.scrollTo(0, 0)")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)


def dashboard(page: Page, origin: str) -> None:
    """What the operator sees after a little work."""
    sizes = ("640x640", "800x450", "450x800", "900x600")

    def ask(number: int) -> None:
        size = sizes[number % len(sizes)] if number % 12 else "wrong"
        body = {"prompt": f"{PROMPT}, number {number}", "size": size, "response_format": "url"}
        httpx.post(f"{origin}/v1/images/generations", json=body, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(48)))
    page.goto(f"{origin}/dashboard")
    expect(page.get_by_text("sketch").first).to_be_visible()
    page.wait_for_load_state("networkidle")


def small(shot: bytes) -> bytes:
    """A PNG with as many colours as fit into what a picture may weigh. Raises ValueError where none do."""
    with Image.open(io.BytesIO(shot)) as picture:
        whole = picture.convert("RGB")
    for colours in COLOURS:
        file = io.BytesIO()
        # A palette first: Pillow spreads errors only over colours that it is given.
        palette = whole.quantize(colours)
        whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(file, "PNG", optimize=True)
        if file.tell() < MOST_BYTES:
            return file.getvalue()
    raise ValueError(f"more than {MOST_BYTES} bytes with {COLOURS[-1]} colours")


def take(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="imagegate-screenshots-") as data, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=NEEDS["chromium"].path(), args=list(LAUNCH))
        with served(embedded({}, data)) as base_url:
            for write in (playground, dashboard):
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
                write(page, base_url.removesuffix("/v1"))
                path = folder / f"{write.__name__}.png"
                path.write_bytes(small(page.screenshot()))
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} KB")
                page.close()
        browser.close()


def main() -> int:
    if NEEDS["chromium"].path() is None:
        print(how_to_get("chromium"), file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    take(IMAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
