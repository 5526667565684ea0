"""The playground, as people use it: a prompt, a plan, a picture, a mask, several models, an error, a gallery."""

from __future__ import annotations

import base64
import io
import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.sites import Site

pytestmark = [pytest.mark.needs("chromium")]


def opened(page: Page, site: Site, hash: str = "") -> None:
    """The playground, once it knows the models."""
    page.goto(f"{site.origin}/{hash}")
    page.locator("#model-0").wait_for(state="attached")


def more(page: Page, said: str) -> None:
    """Write further parameters as JSON."""
    page.locator("#more > summary").click()
    page.locator("#others").fill(said)
    page.locator("#more > summary").click()


def made(page: Page, count: int = 1) -> Locator:
    """The pictures of the newest run, once there are so many and it is over."""
    run = page.locator(".run").first
    expect(run.locator(".tile .caption")).to_have_count(count)
    return run


def a_picture(folder: Path, width: int = 320, height: int = 200) -> Path:
    path = folder / "blue.png"
    Image.new("RGB", (width, height), "steelblue").save(path)
    return path


def test_a_prompt_becomes_a_picture_with_its_cost_and_its_receipt(page: Page, site: Site) -> None:
    opened(page, site)
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("A red fox in the snow")
    page.keyboard.press("Control+Enter")
    run = made(page)
    picture = run.locator(".picture img")
    assert picture.evaluate("node => node.complete && node.naturalWidth") == 1024
    expect(run.locator(".column-head")).to_contain_text("$0")
    run.get_by_text("Receipt:").click()
    expect(run.get_by_role("row").filter(has_text="prompt")).to_contain_text("as asked")
    expect(page.locator("#said")).to_contain_text("1 picture by sketch in")


def test_an_idea_is_two_clicks_from_a_picture(page: Page, site: Site) -> None:
    opened(page, site)
    page.get_by_role("button", name="Lake at sunset").click()
    page.get_by_role("button", name="Make picture").click()
    made(page)


def test_the_plan_says_what_would_be_changed_and_why_before_anything_is_sent(page: Page, site: Site) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#model-0").select_option("flux-2-max")
    page.get_by_role("radio", name="16:9").check(force=True)
    page.locator("#n").fill("2")
    more(page, '{"strength": 0.4}')
    plan = page.locator("#plan-body")
    expect(plan).to_contain_text("flux-2-max by apiframe")
    expect(plan).to_contain_text("about $0.14")
    expect(page.locator("#estimate")).to_have_text("About $0.14")
    expect(plan.locator(".losses")).to_contain_text("strength")
    plan.get_by_text("Every parameter, and what would be sent").click()
    expect(plan.locator(".code")).to_contain_text('"width": 1376')
    assert asked
    assert all("dryRun=true" in request.url for request in asked)
    assert not site.simulators["apiframe"].submissions


def test_only_what_the_model_has_is_offered(page: Page, site: Site) -> None:
    opened(page, site)
    page.locator("#more > summary").click()
    expect(page.get_by_label("Steps")).to_have_count(0)
    page.locator("#model-0").select_option("flux-2-dev")
    page.get_by_label("Steps").fill("12")
    page.locator("#prompt").fill("A red fox")
    expect(page.locator("#plan-body")).to_contain_text("flux-2-dev by gpu")
    page.locator("#model-0").select_option("sketch")
    expect(page.get_by_label("Steps")).to_have_count(0)
    with page.expect_request(lambda request: "dryRun" in request.url) as caught:
        page.locator("#prompt").fill("A red fox at dawn")
    assert "steps" not in (caught.value.post_data or "steps")


def test_pixels_seed_and_format_are_what_was_chosen(page: Page, site: Site) -> None:
    opened(page, site)
    page.locator("#prompt").fill("A lighthouse")
    page.get_by_role("radio", name="Pixels").check(force=True)
    page.locator("#width").fill("500")
    page.locator("#height").fill("333")
    page.locator("#seed").fill("41")
    page.locator("#n").fill("2")
    page.locator("#output_format").select_option("webp")
    page.get_by_role("button", name="Make 2 pictures").click()
    run = made(page, 2)
    expect(run.locator(".caption").nth(1)).to_contain_text(re.compile(r"500 . 333 WEBP . seed 42"))
    with page.expect_download() as caught:
        run.get_by_role("button", name="Download").nth(1).click()
    assert caught.value.suggested_filename == "a-lighthouse-42.webp"
    with Image.open(caught.value.path()) as picture:
        assert (picture.format, picture.size) == ("WEBP", (500, 333))


def test_settings_are_reused_and_a_picture_is_varied_by_its_seed(page: Page, site: Site) -> None:
    opened(page, site)
    page.locator("#prompt").fill("A lighthouse")
    page.get_by_role("radio", name="Pixels").check(force=True)
    page.locator("#width").fill("200")
    page.locator("#height").fill("100")
    page.locator("#seed").fill("7")
    page.get_by_role("button", name="Make picture").click()
    run = made(page)
    page.locator("#prompt").fill("Something else")
    page.locator("#seed").fill("")
    page.get_by_role("radio", name="1:1", exact=True).check(force=True)
    run.get_by_role("button", name="Reuse settings").click()
    expect(page.locator("#prompt")).to_have_value("A lighthouse")
    expect(page.locator("#seed")).to_have_value("7")
    expect(page.locator("#width")).to_have_value("200")
    run.get_by_role("button", name="Variations").click()
    varied = made(page, 4)
    expect(varied.locator(".caption")).to_contain_text([f"seed {seed}" for seed in (8, 9, 10, 11)])


def test_a_mask_painted_by_hand_is_where_the_picture_changes(page: Page, site: Site, tmp_path: Path) -> None:
    simulator = site.simulators["openai"]
    before = len(simulator.submissions)
    opened(page, site)
    page.locator("#model-0").select_option("any-model")
    page.locator("#inputs-file").set_input_files(a_picture(tmp_path))
    page.locator("#prompt").fill("a rose")
    page.get_by_role("button", name="Mask").click()
    layer = page.locator("#brush canvas")
    box = layer.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Use mask").click()
    expect(page.get_by_role("button", name="Mask set")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Edit picture").click()
    run = made(page)
    expect(run.locator(".losses")).to_have_count(0)
    sent = simulator.submissions[before]
    assert sent.path.endswith("/images/edits")
    with Image.open(io.BytesIO(part_of(sent.body, "mask"))) as mask:
        assert mask.size == (320, 200)
        alpha = mask.getchannel("A")
    assert alpha.getpixel((120, 100)) == 0, "painted: to be made anew"
    assert alpha.getpixel((300, 20)) == 255, "not painted: to stay"


def part_of(body: bytes, name: str) -> bytes:
    """A file out of a form as it travelled."""
    boundary = body.split(b"\r\n", 1)[0]
    part = next(each for each in body.split(boundary) if f'name="{name}"'.encode() in each[:300])
    return part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")


def test_a_mask_is_painted_by_keyboard_alone_and_taken_back(page: Page, site: Site, tmp_path: Path) -> None:
    opened(page, site)
    page.locator("#inputs-file").set_input_files(a_picture(tmp_path))
    page.get_by_role("button", name="Mask").press("Enter")
    expect(page.locator("#brush canvas")).to_be_focused()
    painted = "canvas => canvas.getContext('2d').getImageData(160, 100, 1, 1).data[3]"
    assert page.locator("#brush canvas").evaluate(painted) == 0
    page.keyboard.press("Space")
    assert page.locator("#brush canvas").evaluate(painted) == 255
    page.keyboard.press("Control+z")
    assert page.locator("#brush canvas").evaluate(painted) == 0
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Mask", exact=True)).to_be_visible()


def test_a_picture_that_was_made_is_what_the_next_starts_from(page: Page, site: Site) -> None:
    opened(page, site)
    page.locator("#prompt").fill("A lighthouse")
    page.get_by_role("button", name="Make picture").click()
    made(page).get_by_role("button", name="Edit this picture").click()
    expect(page.locator(".thumb")).to_have_count(1)
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("the same by day")
    page.get_by_role("button", name="Edit picture").click()
    expect(page.locator(".run")).to_have_count(2)
    made(page)


def test_two_models_stand_side_by_side_with_time_cost_and_receipt(page: Page, site: Site) -> None:
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#model-0").select_option("flux-2-max")
    page.get_by_role("button", name="Compare with another model").click()
    page.locator("#model-1").select_option("flux-2-dev")
    page.get_by_role("button", name="Compare 2 models").click()
    run = made(page, 2)
    columns = run.locator(".column")
    expect(columns.nth(0).locator(".column-head")).to_contain_text(re.compile(r"flux-2-max.* s · \$0\.07", re.S))
    expect(columns.nth(1).locator(".column-head")).to_contain_text(re.compile(r"flux-2-dev.* s · \$0", re.S))
    expect(columns.nth(0).get_by_text("Receipt:")).to_contain_text("by apiframe")
    expect(columns.nth(1).get_by_text("Receipt:")).to_contain_text("by gpu")
    left, right = columns.nth(0).bounding_box(), columns.nth(1).bounding_box()
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]


def test_one_model_that_fails_takes_nothing_from_the_other(page: Page, site: Site) -> None:
    site.simulators["openai"].fail_next(status=400, code="moderation_blocked", message="simulated trouble")
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.get_by_role("button", name="Compare with another model").click()
    page.locator("#model-1").select_option("any-model")
    page.get_by_role("button", name="Compare 2 models").click()
    run = made(page)
    alert = run.get_by_role("alert")
    expect(alert).to_contain_text("Refused because of its content")
    expect(alert).to_contain_text("moderation_blocked")


def test_what_would_be_refused_is_said_at_once_and_said_well_when_it_is(page: Page, site: Site) -> None:
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#n").fill("99")
    expect(page.locator("#plan-body")).to_contain_text("This would be refused")
    expect(page.locator("#n")).to_have_attribute("aria-invalid", "true")
    page.locator("#make").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The request was refused")
    expect(alert).to_contain_text("99")
    expect(alert).to_contain_text("parameter n")
    page.locator("#n").fill("1")
    expect(page.locator("#n")).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#plan-body")).to_contain_text("sketch by sketch")


def test_a_gateway_that_is_away_is_said_to_be(page: Page, site: Site) -> None:
    opened(page, site)
    page.route("**/v1/images/**", lambda route: route.abort())
    page.locator("#prompt").fill("A red fox")
    page.locator("#make").click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    page.unroute("**/v1/images/**")
    page.get_by_role("button", name="Try again").click()
    made(page)


STREAM = """
const ordinary = window.fetch;
window.fetch = (address, given) => {
  if (!String(address).endsWith("/v1/images/generations")) return ordinary(address, given);
  window.asked = JSON.parse(given.body);
  const body = new ReadableStream({ start(controller) { window.stream = controller; } });
  given.signal?.addEventListener("abort", () => window.stream.error(new DOMException("stopped", "AbortError")));
  const headers = { "content-type": "text/event-stream", "x-generation-id": "gen_1" };
  return Promise.resolve(new Response(body, { headers }));
};
window.tell = (text) => window.stream.enqueue(new TextEncoder().encode(text));
"""
"""A stream that the test tells, piece by piece, in place of the gateway's."""


def dot(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def told(page: Page, **event: object) -> None:
    page.evaluate("text => tell(text)", f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")


def test_pictures_and_previews_are_shown_as_they_come(page: Page, site: Site) -> None:
    page.add_init_script(STREAM)
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#n").fill("2")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(2)
    page.evaluate("text => tell(text)", ": the work has begun\n\n")
    told(page, type="image_generation.partial_image", image_index=1, partial_image_index=0, b64_json=dot("grey"))
    expect(page.locator(".tile").nth(1).locator(".preview")).to_be_visible()
    told(page, type="image_generation.completed", image_index=0, size="4x4", output_format="png", b64_json=dot("red"))
    expect(page.locator(".tile").nth(0).locator(".picture img")).to_be_visible()
    expect(page.locator(".tile.waiting")).to_have_count(1)
    metadata = {
        "model": "sketch",
        "provider": "sketch",
        "executed_model": "sketch",
        "partial": False,
        "cost_micros": 1500,
        "parameters": [],
    }
    told(
        page,
        type="image_generation.completed",
        image_index=1,
        size="4x4",
        output_format="png",
        b64_json=dot("blue"),
        metadata=metadata,
    )
    page.evaluate("text => tell(text)", "data: [DONE]\n\n")
    run = made(page, 2)
    expect(run.locator(".preview")).to_have_count(0)
    expect(run.locator(".column-head")).to_contain_text("$0.0015")
    assert page.evaluate("asked.stream") is True


def test_a_stream_that_breaks_off_or_is_stopped_says_so_and_keeps_what_came(page: Page, site: Site) -> None:
    page.add_init_script(STREAM)
    opened(page, site)
    page.locator("#prompt").fill("A red fox")
    page.locator("#n").fill("2")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(2)
    told(page, type="image_generation.completed", image_index=0, size="4x4", output_format="png", b64_json=dot("red"))
    expect(page.locator(".tile.waiting")).to_have_count(1)
    page.evaluate("stream.close()")
    expect(page.get_by_role("alert")).to_contain_text("broke before the last picture")
    expect(page.locator(".tile .picture img")).to_have_count(1)
    page.locator("#make").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".run").first).to_contain_text("You stopped waiting")


def test_the_same_request_is_there_as_code_and_runs_as_it_stands(
    page: Page, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = 'It\'s a "fox" \\ $HOME \U0001f98a'
    opened(page, site)
    page.locator("#prompt").fill(prompt)
    page.locator("#seed").fill("3")
    page.get_by_role("button", name="Make picture").click()
    made(page).get_by_role("button", name="Details").click()
    viewer = page.locator("#viewer")
    curl = viewer.locator("pre").inner_text()
    words = shlex.split(curl)
    assert f"{site.origin}/v1/images/generations" in words
    assert "authorization: Bearer $IMAGEGATE_API_KEY" in words
    assert json.loads(words[-1])["prompt"] == prompt
    viewer.get_by_role("button", name="Python").click()
    python = viewer.locator("pre").inner_text()
    copied = tmp_path / "copied.py"
    copied.write_text(python, encoding="utf-8")
    runpy.run_path(str(copied))
    assert capsys.readouterr().out.startswith(f"{site.origin}/v1/images/files/")
    viewer.get_by_role("button", name="JavaScript").click()
    expect(viewer.locator("pre")).to_contain_text("new OpenAI(")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
