"""What others wrote, in every place where the playground shows it; and the code that it hands out, run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.sites import Site
from tests.browser.test_playground import STREAM, a_picture, dot, told

pytestmark = [pytest.mark.needs("chromium")]

HOSTILE = "<img src=x onerror=window.harmed=1><script>window.harmed=1</script>\"'>"


def unharmed(page: Page) -> None:
    assert page.evaluate("window.harmed") is None
    assert page.locator("[onerror], main script, #viewer script").count() == 0


def test_whatever_a_provider_says_is_text(page: Page, site: Site) -> None:
    page.add_init_script(STREAM)
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill("a fox")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(1)
    entry = {"name": HOSTILE, "behavior": HOSTILE, "requested": {HOSTILE: HOSTILE}, "sent": [HOSTILE], "note": HOSTILE}
    told(
        page,
        type="image_generation.completed",
        image_index=0,
        size="4x4",
        output_format="png",
        b64_json=dot("red"),
        revised_prompt=HOSTILE,
        metadata={
            "model": HOSTILE,
            "provider": HOSTILE,
            "executed_model": HOSTILE,
            "partial": True,
            "cost_micros": None,
            "parameters": [entry],
            "repairs": [HOSTILE],
            "notice": HOSTILE,
        },
    )
    page.evaluate("text => tell(text)", "data: [DONE]\n\n")
    run = page.locator(".run")
    expect(run.locator(".losses")).to_contain_text(HOSTILE)
    expect(run.locator(".column-head")).to_contain_text("cost unknown")
    run.locator(".picture").click()
    expect(page.locator("#viewer")).to_contain_text(f"Put right here: {HOSTILE}")
    unharmed(page)


def test_an_error_of_a_stream_is_text(page: Page, site: Site) -> None:
    page.add_init_script(STREAM)
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#prompt").fill("a fox")
    page.locator("#make").click()
    expect(page.locator(".tile.waiting")).to_have_count(1)
    told(page, type="error", error={"message": HOSTILE, "code": HOSTILE, "param": HOSTILE, "type": HOSTILE})
    expect(page.get_by_role("alert")).to_contain_text(HOSTILE)
    unharmed(page)


def test_a_models_name_and_description_are_text(page: Page, site: Site) -> None:
    def renamed(text: str) -> str:
        listed = json.loads(text)
        next(each for each in listed["data"] if each["id"] == "any-model").update(id=HOSTILE, description=HOSTILE)
        return json.dumps(listed)

    page.route("**/v1/models", lambda route: route.fulfill(body=renamed(route.fetch().text())))
    page.goto(site.origin)
    expect(page.locator("#model-0")).to_contain_text(HOSTILE)
    page.locator("#model-0").select_option(HOSTILE)
    expect(page.locator("#model-about")).to_contain_text(HOSTILE)
    page.locator("#prompt").fill("a fox")
    expect(page.locator("#plan-body")).to_contain_text("This would be refused")
    unharmed(page)


def test_a_files_name_is_text(page: Page, site: Site, tmp_path: Path) -> None:
    path = tmp_path / f"{HOSTILE.replace('/', '')}.png"
    a_picture(tmp_path).rename(path)
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#inputs-file").set_input_files(path)
    expect(page.locator(".thumb img")).to_have_attribute("alt", path.name)
    page.locator("#inputs-file").set_input_files(
        {"name": f"{HOSTILE.replace('/', '')}.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    )
    expect(page.locator("#inputs-hint")).to_contain_text("Not a picture")
    unharmed(page)


def test_the_code_of_an_edit_runs_as_it_stands(page: Page, site: Site, tmp_path: Path) -> None:
    page.goto(site.origin)
    page.locator("#model-0").wait_for()
    page.locator("#inputs-file").set_input_files(a_picture(tmp_path))
    page.get_by_role("button", name="Mask").click()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Use mask").click()
    page.locator("#prompt").fill("a rose")
    page.locator("#make").click()
    page.get_by_role("button", name="Details").click()
    page.locator("#viewer").get_by_role("button", name="Python").click()
    Image.new("RGBA", (320, 200), (0, 0, 0, 0)).save(tmp_path / "mask.png")
    (tmp_path / "copied.py").write_text(page.locator("#viewer pre").inner_text(), encoding="utf-8")
    done = subprocess.run([sys.executable, "copied.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{site.origin}/v1/images/files/")
