"""The pages and their files as they travel: who may have them, under which policy, how large."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Error, Page, Route, expect

from gateway.web.pages import POLICY, accepts_gzip, assets
from tests.browser.sites import Site
from tests.served import served, settings_of

PAGES = ("/", "/dashboard")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway that asks for keys: its pages ask for none."""
    folder: Path = tmp_path_factory.mktemp("pages")
    config = {
        "auth": {"admin_key": "the-admin-key", "keys": [{"name": "one", "key": "client-key-1"}]},
        "providers": {"s": {"type": "sketch"}},
        "models": {"sketch": {"routes": [{"provider": "s", "model": "sketch"}]}},
    }
    with served(settings_of(folder, config)) as base_url:
        yield base_url.removesuffix("/v1")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_no_key_runs_nothing_inline_and_is_kept_by_nobody(origin: str, path: str) -> None:
    answer = httpx.get(f"{origin}{path}").raise_for_status()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text
    assert answer.text.count("<script") == answer.text.count('<script type="module" src=')


@pytest.mark.parametrize("name", sorted(name for name in assets() if not name.endswith(".html")))
def test_a_file_of_the_pages_travels_compressed_and_once(origin: str, name: str) -> None:
    plain = httpx.get(f"{origin}/web/{name}", headers={"accept-encoding": "identity"}).raise_for_status()
    packed = httpx.get(f"{origin}/web/{name}", headers={"accept-encoding": "gzip"}).raise_for_status()
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content == assets()[name].body
    assert plain.headers["etag"] != packed.headers["etag"]
    assert packed.headers["vary"] == "accept-encoding"
    again = httpx.get(
        f"{origin}/web/{name}", headers={"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_head_says_how_long_the_answer_would_be(origin: str) -> None:
    head = httpx.head(f"{origin}/web/base.css", headers={"accept-encoding": "gzip"})
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(assets()["base.css"].gzipped)


@pytest.mark.parametrize("name", ["nothing.js", "playground.html", "..%2Fpages.py", "pages.py", ""])
def test_nothing_else_of_the_package_is_served(origin: str, name: str) -> None:
    answer = httpx.get(f"{origin}/web/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("br", False),
        ("gzip;q=much", False),
        ("", False),
    ],
)
def test_gzip_goes_to_those_who_take_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_a_first_load_is_small() -> None:
    everything = sum(len(asset.gzipped) for asset in assets().values())
    assert everything <= 150 * 1024, "all files of both pages together are less than one page may weigh"
    for asset in assets().values():
        assert gzip.decompress(asset.gzipped) == asset.body


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("path", "heading"), [("/", "Playground"), ("/dashboard", "Dashboard")])
def test_a_page_opens_without_a_complaint(origin: str, page: Page, path: str, heading: str) -> None:
    page.goto(f"{origin}{path}")
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name=heading)).to_have_attribute(
        "aria-current", "page"
    )


@pytest.mark.needs("chromium")
def test_behind_a_proxys_prefix_everything_is_found(page: Page, site: Site) -> None:
    outside = f"{site.origin}/under/here/"

    def inside(route: Route) -> None:
        assert route.request.url.startswith((outside, "blob:")), "nothing is asked for beside the prefix"
        with contextlib.suppress(Error):  # the page has gone on, and asked for nothing more of this
            route.fulfill(response=route.fetch(url=route.request.url.replace(outside, f"{site.origin}/")))

    page.route("**/*", inside)
    page.goto(outside)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill("a lighthouse")
    page.locator("#make").click()
    expect(page.locator(".run .caption")).to_have_count(1)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("button", name="Open: a lighthouse").click()
    whole = page.locator("#viewer .large img:not(.preview)")
    assert whole.evaluate("async (node) => (await node.decode(), node.naturalWidth)") == 1024
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Dashboard").click()
    expect(page).to_have_url(f"{outside}dashboard")
