"""What the playground says of an answer that began well and went wrong, and how little it asks before it is let in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.dashboards import CLIENT, guarded_in
from tests.browser.sites import Site
from tests.browser.test_playground import STREAM, a_picture, made, opened, told

pytestmark = pytest.mark.needs("chromium")

KEPT, ASKED = "the rest stays as it is", "the model is asked to leave the rest"


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
    for model, rest in (("sketch", KEPT), ("any-model", ASKED)):
        painted_with(page, model, rest)


def test_a_model_that_takes_masks_keeps_the_rest_where_the_gateway_says_so(
    page: Page, site: Site, tmp_path: Path
) -> None:
    def exact(route: Route) -> None:
        told = route.fetch().json()
        for model in told["data"]:
            if model["id"] in ("any-model", "sketch"):
                model["capabilities"] |= {"mask": "native", "mask_exact": model["id"] == "any-model"}
        route.fulfill(json=told)

    page.route("**/v1/models", exact)
    opened(page, site)
    page.locator("#inputs-file").set_input_files(a_picture(tmp_path))
    for model, rest in (("any-model", KEPT), ("sketch", ASKED)):
        painted_with(page, model, rest)


def painted_with(page: Page, model: str, rest: str) -> None:
    """The words beside the brush for a model."""
    page.locator("#model-0").select_option(model)
    page.get_by_role("button", name="Mask").click()
    expect(page.locator("#brush-help")).to_contain_text(f"made anew; {rest}.")
    page.keyboard.press("Escape")


def test_a_seed_that_is_left_out_is_called_none(page: Page, site: Site) -> None:
    opened(page, site)
    expect(page.locator("#seed")).to_have_attribute("placeholder", "none")


LOSING = """
const ordinary = window.fetch;
window.tried = [];
window.fetch = async (address, given) => {
  if (!/v1.images.(generations|edits)$/.test(String(address))) return ordinary(address, given);
  tried.push(given.headers.get("idempotency-key"));
  if (tried.length === 1) await (await ordinary(address, given)).text();
  if (tried.length < 3) throw new TypeError("network error");
  const answer = await ordinary(address, given);
  window.replayed = answer.headers.get("idempotent-replayed");
  return answer;
};
"""
"""The gateway does the work and nobody hears of it; then it is not reached at all; then it is."""


@pytest.mark.parametrize("edit", [False, True])
def test_to_try_again_after_a_lost_connection_buys_nothing_twice(
    page: Page, site: Site, tmp_path: Path, edit: bool
) -> None:
    seller = site.simulators["openai"]
    before = len(seller.submissions)
    page.add_init_script(LOSING)
    opened(page, site)
    page.locator("#model-0").select_option("any-model")
    page.locator("#prompt").fill("A red fox")
    if edit:
        page.locator("#inputs-file").set_input_files(a_picture(tmp_path))
    page.locator("#make").click()
    for loss in (1, 2):
        expect(page.get_by_role("alert")).to_have_count(loss)
        page.get_by_role("button", name="Try again").first.click()
    expect(made(page).locator(".picture img")).to_have_count(1)
    assert page.evaluate("[tried.length, new Set(tried).size, replayed]") == [3, 1, "true"]
    assert len(seller.submissions) == before + 1


def test_to_try_again_after_a_failure_that_was_told_is_another_request(page: Page, site: Site) -> None:
    keys = list[str]()

    def failed(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        error = {"message": "it went wrong", "type": "upstream_error", "param": None, "code": "outcome_unknown"}
        route.fulfill(status=502, json={"error": error})

    opened(page, site)
    page.route("**/v1/images/generations", failed)
    page.locator("#prompt").fill("A red fox")
    page.locator("#make").click()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(2)
    page.locator("#make").click()
    expect(page.get_by_role("alert")).to_have_count(3)
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("status", "error", "replayed", "same"),
    [
        (504, None, False, True),
        (503, {"message": "it ends", "type": "server_error", "param": None, "code": "draining"}, False, True),
        (503, {"message": "it ended", "type": "server_error", "param": None, "code": "draining"}, True, False),
    ],
    ids=["a proxy spoke", "the gateway is restarted", "it was told before"],
)
def test_who_cannot_be_told_how_it_ended_asks_for_the_same(
    page: Page, site: Site, status: int, error: dict[str, str | None] | None, replayed: bool, same: bool
) -> None:
    keys = list[str]()

    def answered(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        headers = {"idempotent-replayed": "true"} if replayed else {}
        if error is None:
            route.fulfill(status=status, headers=headers, content_type="text/html", body="<h1>Gateway Time-out</h1>")
        else:
            route.fulfill(status=status, headers=headers, json={"error": error})

    opened(page, site)
    page.route("**/v1/images/generations", answered)
    page.locator("#prompt").fill("A red fox")
    page.locator("#make").click()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(2)
    assert (keys[0] == keys[1]) is same
