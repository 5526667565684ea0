"""What the pages may not do: run what others wrote, keep what is secret, shut anybody out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import grave_findings
from tests.browser.sites import WAIT_MILLISECONDS, Site, site_in

pytestmark = [pytest.mark.needs("chromium")]

KEY = "client-key-of-somebody"
PAYLOADS = (
    "<script>window.harmed=1</script>",
    "<img src=x onerror=window.harmed=1>",
    '"><svg onload=window.harmed=1>',
    "'-window.harmed=1-'",
    "</textarea><iframe srcdoc='<script>parent.harmed=1</script>'></iframe>",
    "javascript:window.harmed=1",
    "${window.harmed=1}{{constructor.constructor('window.harmed=1')()}}",
    "<a href='javascript:window.harmed=1' style='position:fixed;inset:0'>x</a>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
    "\u202e<b id=runs>\u0000</b><form id=composer><math><mtext></mtext></math>",
)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway that asks for a key."""
    config: dict[str, Any] = {"auth": {"keys": [{"name": "somebody", "key": KEY, "models": ["sketch"]}]}}
    with site_in(tmp_path_factory.mktemp("locked"), config) as found:
        yield found


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_prompt_is_text_wherever_it_is_shown(page: Page, site: Site, payload: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill(payload)
    page.locator("#make").click()
    expect(page.locator(".run .caption")).to_have_count(1)
    page.locator(".run .picture").click()
    expect(page.locator("#viewer-title")).to_contain_text(payload.replace("\0", "\ufffd")[:12].strip())
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell .picture")).to_have_count(1)
    assert page.evaluate("window.harmed") is None
    assert page.locator("iframe, main script, main style, main link, math, [onerror], [onload], [srcdoc]").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    assert all(url.startswith((site.origin, "blob:", "data:")) for url in asked)


def test_an_error_is_text_too(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill("a fox")
    page.locator("#more > summary").click()
    page.locator("#others").fill('{"size": "<img src=x onerror=window.harmed=1>"}')
    page.locator("#make").click()
    expect(page.get_by_role("alert")).to_contain_text("onerror=window.harmed")
    assert page.evaluate("window.harmed") is None


def test_nothing_inline_runs_even_if_it_got_in(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    page.goto(site.origin)
    refused: list[str] = page.evaluate(
        """async () => {
          const refused = [];
          document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.harmed = 1";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "https://elsewhere.example/x.png";
          document.body.append(image);
          await fetch("https://elsewhere.example/").catch(() => {});
          while (refused.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
          return refused;
        }"""
    )
    assert {each.removesuffix("-elem") for each in refused} == {"script-src", "img-src", "connect-src"}
    assert page.evaluate("window.harmed") is None
    page.close()


def test_a_key_is_asked_for_and_lives_as_long_as_the_tab(page: Page, locked: Site) -> None:
    page.goto(locked.origin)
    dialog = page.locator("#key-dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Key").fill("a wrong key")
    dialog.get_by_role("button", name="Use key").click()
    expect(dialog.locator("#key-problem")).to_be_visible()
    dialog.get_by_label("Key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#model-0")).to_have_value("sketch")
    expect(page.locator("#model-0 option")).to_have_count(1)
    page.locator("#prompt").fill("a fox")
    page.locator("#make").click()
    expect(page.locator(".run .caption")).to_have_count(1)
    stored = page.evaluate(
        """async () => {
          const { ids, recall } = await import("/web/kept.js");
          let kept = [];
          while (!kept.length) kept = await ids();
          return JSON.stringify([{ ...localStorage }, document.cookie, await recall(kept[0]), location.href]);
        }"""
    )
    assert KEY not in stored
    assert page.context.cookies() == []
    assert page.evaluate("sessionStorage['imagegate.client']") == KEY
    page.get_by_role("button", name="Key set").click()
    page.get_by_role("button", name="Forget").click()
    expect(dialog).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_key_is_in_no_code_that_is_copied(page: Page, locked: Site) -> None:
    page.add_init_script(f"sessionStorage.setItem('imagegate.client', '{KEY}')")
    page.goto(locked.origin)
    page.locator("#prompt").fill("a fox")
    expect(page.locator("#plan-body")).to_contain_text("sketch by sketch")
    page.locator("#make").click()
    page.get_by_role("button", name="Details").click()
    for name in ("curl", "Python", "JavaScript"):
        page.locator("#viewer").get_by_role("button", name=name).click()
        assert KEY not in page.locator("#viewer").inner_text()


@pytest.mark.needs("clients-of-npm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave_on_any_view(browser: Browser, site: Site, scheme: Any) -> None:
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", locale="en-US")
    context.set_default_timeout(WAIT_MILLISECONDS)
    page = context.new_page()
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    assert grave_findings(page) == []
    page.locator("#prompt").fill("a fox")
    page.locator("#compare").click()
    page.locator("#more > summary").click()
    page.locator("#others").fill('{"strength": 0.3}')
    expect(page.locator("#plan-body .losses").first).to_be_visible()
    page.locator("#plan-body summary").first.click()
    page.locator("#make").click()
    expect(page.locator(".run .caption")).to_have_count(2)
    page.locator(".run summary").first.click()
    assert grave_findings(page) == []
    page.locator(".run .picture").first.click()
    expect(page.locator("#viewer .large img")).to_be_visible()
    assert grave_findings(page) == []
    page.locator("#viewer").get_by_role("button", name="Edit this picture").click()
    page.get_by_role("button", name="Mask").click()
    assert grave_findings(page) == []
    page.keyboard.press("Escape")
    page.locator("#n").fill("99")
    page.locator("#make").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.get_by_role("button", name="Key", exact=True).click()
    assert grave_findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell .picture")).to_have_count(2)
    assert grave_findings(page) == []
    context.close()


@pytest.mark.parametrize("width", [320, 390, 820])
def test_nothing_goes_past_the_edge(page: Page, site: Site, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill("a-very-long-word-" * 30)
    page.locator("#compare").click()
    expect(page.locator("#plan-body .planned")).to_have_count(2)
    page.locator("#plan-body summary").first.click()
    page.locator("#make").click()
    expect(page.locator(".run .caption")).to_have_count(2)
    page.locator(".run summary").first.click()
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.evaluate(too_wide) is False
    assert page.locator(".column").first.evaluate("node => node.scrollWidth > node.clientWidth") is False
    page.locator(".run .picture").first.click()
    assert page.locator("#viewer").evaluate("node => node.scrollWidth > node.clientWidth") is False
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator(".cell .picture")).to_have_count(2)
    assert page.evaluate(too_wide) is False


def test_the_views_are_reached_by_arrow_keys(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.get_by_role("tab", name="Create").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Gallery")).to_be_focused()
    expect(page.locator("#gallery")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#create")).to_be_visible()


def test_nothing_moves_for_those_who_want_it_still(page: Page, site: Site) -> None:
    page.goto(site.origin)
    page.evaluate("document.body.append(Object.assign(document.createElement('li'), { className: 'tile waiting' }))")
    seconds = page.locator("body > .tile").evaluate("node => parseFloat(getComputedStyle(node).animationDuration)")
    assert seconds <= 0.001
