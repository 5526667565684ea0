"""`python -m scripts.screenshots`: the pictures of both pages in docs/images, taken by Chromium from a gateway that
draws with `sketch`, and from one with simulated providers and a made-up day, so that anybody gets the same without a
key."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.config.embedded import embedded
from gateway.services.attempts_sqlite import FILE
from scripts.files import ROOT
from scripts.simulated_usage import write_day
from scripts.test_needs import NEEDS, how_to_get
from tests.browser.sites import LAUNCH, Site, site_in
from tests.served import served

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 860
TALL = 1400
MOST_BYTES = 200_000
COLOURS = (256, 192, 128, 96, 64)

FAILURES = 8
"""Enough that a circuit opens."""
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


def dashboard(page: Page, site: Site) -> None:
    """What the operator sees after a day and a little work, while one provider has trouble."""
    models = ("sketch", "flux-2-dev", "flux-2-max", "flux-kontext-max", "any-model")
    site.simulators["modelverse"].fail_next(times=FAILURES, status=401)

    def ask(number: int) -> None:
        body = {"model": models[number % len(models)], "prompt": f"{PROMPT}, number {number}", "size": "320x320"}
        httpx.post(f"{site.api}/images/generations", json=body, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(40)))
    page.goto(f"{site.origin}/dashboard")
    expect(page.locator("#pulse")).to_have_attribute("data-state", "live")
    expect(page.get_by_text("Circuit open")).to_be_visible()
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
    with tempfile.TemporaryDirectory(prefix="imagegate-screenshots-") as name, sync_playwright() as playwright:
        data = Path(name)
        browser = playwright.chromium.launch(executable_path=NEEDS["chromium"].path(), args=list(LAUNCH))
        with served(embedded({}, data / "playground")) as base_url, shot(browser, folder / "playground.png") as page:
            playground(page, base_url.removesuffix("/v1"))
        write_day(data / "dashboard" / "data" / FILE, time.time())
        with site_in(data / "dashboard") as site, shot(browser, folder / "dashboard.png", TALL) as page:
            dashboard(page, site)
        browser.close()


@contextmanager
def shot(browser: Browser, path: Path, height: int = HEIGHT) -> Iterator[Page]:
    """A tab whose picture is taken at the end."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height}, reduced_motion="reduce")
    yield page
    path.write_bytes(small(page.screenshot()))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} KB")
    page.close()


def main() -> int:
    if NEEDS["chromium"].path() is None:
        print(how_to_get("chromium"), file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    take(IMAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
