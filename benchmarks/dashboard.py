"""What a dashboard that is left open costs the gateway: processor time of all its processes while a browser shows the
page, less what it takes by itself, over a ledger of many requests. Linux only, and it needs Chromium.

The first look at a span of time is not counted: it is what somebody asked for, and comes once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from benchmarks.gateway import Goal
from benchmarks.processes import Server, cpu_between
from benchmarks.subjects import free_port
from benchmarks.usage import CONFIG, DAYS, fill
from gateway.services.attempts_sqlite import FILE
from scripts.test_needs import NEEDS, how_to_get
from tests.browser.sites import LAUNCH

MOST_PERCENT = 1.0
SPANS = ("24h", "30d")
SETTLED_SECONDS = 12.0
"""By then the page has come to its own pace."""
LOAD_MILLISECONDS = 120_000


@contextmanager
def gateway(folder: Path, rows: int) -> Iterator[tuple[Server, str]]:
    """One with `rows` requests and attempts of the last days on record."""
    (folder / "data").mkdir()
    fill(folder / "data" / FILE, rows, time.time())
    config, port = folder / "imagegate.yaml", free_port()
    config.write_text(CONFIG.format(folder=folder))
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), "--port", str(port)]
    origin = f"http://127.0.0.1:{port}"
    server = Server(command, f"{origin}/readyz", folder / "gateway.log")
    try:
        yield server, origin
    finally:
        server.stop()


def taken(server: Server, seconds: float) -> float:
    """Per cent of one processor that the gateway takes."""
    before, began = server.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    return 100 * cpu_between(before, server.cpu_seconds()) / (time.perf_counter() - began)


def shown(browser: Browser, origin: str, span: str, server: Server, seconds: float) -> float:
    """The same while a page shows a span of time, as `taken` tells it."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(origin).partition("?")[0]))
    page.goto(f"{origin}/dashboard#time={span}")
    expect(page.locator("#pulse")).to_have_attribute("data-state", "live", timeout=LOAD_MILLISECONDS)
    # The browser's loop has to turn, or what it asks for is told late.
    page.wait_for_timeout(SETTLED_SECONDS * 1000)
    asked.clear()
    before, began = server.cpu_seconds(), time.perf_counter()
    page.wait_for_timeout(seconds * 1000)
    percent = 100 * cpu_between(before, server.cpu_seconds()) / (time.perf_counter() - began)
    page.close()
    print(f"  {span}: {asked.count('/admin/health')} refreshes, {asked.count('/admin/usage')} looks at the ledger")
    return percent


def measured(rows: int, seconds: float) -> list[Goal]:
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, gateway(Path(name), rows) as (server, origin):
        print(f"{rows} requests in {DAYS} days; {seconds:g} s each")
        alone = taken(server, seconds)
        print(f"  nobody looks: {alone:.2f} % of a core")
        goals = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=NEEDS["chromium"].path(), args=list(LAUNCH))
            for span in SPANS:
                percent = shown(browser, origin, span, server, seconds) - alone
                goals.append(Goal(f"the dashboard, {span}, of a core", percent, MOST_PERCENT, "%"))
            browser.close()
        return goals


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="requests, and attempts (default 100000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement (default 60)")
    options = parser.parse_args(arguments)
    if NEEDS["chromium"].path() is None:
        print(how_to_get("chromium"), file=sys.stderr)
        return 2
    for goal in measured(options.rows, options.seconds):
        print(goal.line())
    return 0
