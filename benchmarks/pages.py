"""What the playground costs whoever opens it: the bytes of a first load, the seconds from an empty tab to a picture
that is seen, and how smoothly a gallery of 1000 pictures scrolls.

Chromium is driven on the machine that also runs the gateway. Frames are counted by the page itself while the wheel
turns; without a graphics card they are drawn by the processor, so that a real screen does better.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.gateway import Goal
from gateway.config.embedded import embedded
from scripts.test_needs import NEEDS, how_to_get
from tests.browser.sites import LAUNCH
from tests.served import served

FIRST_LOAD_KB = 150
FIRST_PICTURE_SECONDS = 10
FRAME_MILLISECONDS = 50
"""A frame that takes longer is one that people notice."""
LATE_PERCENT = 1
MOST_CELLS = 100
TURNS, TURN_PIXELS = 240, 160

FILL = """async (count) => {
  const { keep } = await import("/web/kept.js");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 320;
  const context = canvas.getContext("2d");
  for (let made = 0; made < count; made += 50) {
    const entries = [];
    for (let index = 0; index < Math.min(50, count - made); index += 1) {
      const shade = context.createLinearGradient(0, 0, 320, 320);
      shade.addColorStop(0, `hsl(${((made + index) * 37) % 360} 70% 55%)`);
      shade.addColorStop(1, `hsl(${((made + index) * 53) % 360} 70% 35%)`);
      context.fillStyle = shade;
      context.fillRect(0, 0, 320, 320);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg"));
      entries.push({
        blob, index, prompt: `picture number ${made + index}`, model: "sketch", provider: "sketch", executed: "sketch",
        body: { model: "sketch", prompt: "p" }, strict: false, names: [], masked: false, cost: 0, count: 1, seconds: 1,
        parameters: [], repairs: [], size: "320x320", format: "jpeg", seed: index, revised: null, generation: "gen_0",
        path: null, expires: null,
      });
    }
    await keep(entries);
  }
}"""

COUNT_FRAMES = """() => {
  window.frames_ = [];
  window.most_ = 0;
  let before = performance.now();
  const tick = (now) => {
    frames_.push(now - before);
    before = now;
    most_ = Math.max(most_, document.querySelectorAll(".cell").length);
    if (!window.enough_) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""


def first_load(browser: Browser, origin: str) -> float:
    """KB that travel when the playground is opened for the first time, what it asks the API for included."""
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    travelled: list[float] = []

    def ended(event: dict[str, Any]) -> None:
        travelled.append(event["encodedDataLength"])

    session.on("Network.loadingFinished", ended)
    page.goto(origin)
    page.locator("#model-0").wait_for()
    page.wait_for_load_state("networkidle")
    page.close()
    return sum(travelled) / 1024


def first_picture(browser: Browser, origin: str) -> float:
    """Seconds from an empty tab to a picture that is seen, for somebody who clicks at once."""
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(origin)
    page.get_by_role("button", name="Lake at sunset").click()
    page.get_by_role("button", name="Make picture").click()
    page.locator(".run .picture img").evaluate("node => node.decode()")
    took = time.perf_counter() - began
    page.close()
    return took


def scrolled(page: Page, origin: str, count: int) -> tuple[list[float], int]:
    """Milliseconds of each frame while a gallery is scrolled through, and the most cells there were at once."""
    page.goto(origin)
    page.locator("#model-0").wait_for()
    page.evaluate(FILL, count)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell img").first).to_be_visible()
    page.mouse.move(600, 500)
    page.evaluate(COUNT_FRAMES)
    for _ in range(TURNS):
        page.mouse.wheel(0, TURN_PIXELS)
    page.evaluate("window.enough_ = true")
    frames: list[float] = page.evaluate("frames_.slice(1)")
    most: int = page.evaluate("most_")
    return frames, most


def measured(origin: str, browser: Browser, count: int) -> list[Goal]:
    weight, seconds = first_load(browser, origin), first_picture(browser, origin)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    frames, most = scrolled(page, origin, count)
    page.close()
    late = sum(each > FRAME_MILLISECONDS for each in frames)
    print(
        f"{count} pictures: {len(frames)} frames, median {statistics.median(frames):.1f} ms, "
        f"longest {max(frames):.1f} ms, {late} above {FRAME_MILLISECONDS} ms"
    )
    return [
        Goal("first load of the playground", weight, FIRST_LOAD_KB, " KB"),
        Goal("from an empty tab to a picture that is seen", seconds, FIRST_PICTURE_SECONDS, " s"),
        Goal(f"frames above {FRAME_MILLISECONDS} ms", 100 * late / len(frames), LATE_PERCENT, " %"),
        Goal("gallery's pictures in the page at once", float(most), MOST_CELLS),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks pages", description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000, help="in the gallery (default 1000)")
    options = parser.parse_args(arguments)
    if NEEDS["chromium"].path() is None:
        print(how_to_get("chromium"), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=NEEDS["chromium"].path(), args=list(LAUNCH))
        with served(embedded({}, Path(name) / "data")) as base_url:
            for goal in measured(base_url.removesuffix("/v1"), browser, options.pictures):
                print(goal.line())
        browser.close()
    return 0
