"""`imagegate generate` and `imagegate plan`, called as the console script calls them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gateway.cli import main
from tests.given import mask_for, painted
from tests.journeys import journey_to


def pixel() -> str:
    written = BytesIO()
    Image.new("L", (1, 1)).save(written, "GIF")
    return base64.b64encode(written.getvalue()).decode()


PIXEL = pixel()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("IMAGEGATE_BASE_URL", "IMAGEGATE_API_KEY", "ONEMIN_API_KEY", "APIFRAME_API_KEY", "MODELVERSE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_picture_is_made_here_in_the_format_that_the_files_name_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a fox", "--size", "320x200", "-o", "fox.avif", "seed=3"]) == 0
    with Image.open("fox.avif") as picture:
        assert (picture.format, picture.size) == ("AVIF", (320, 200))
    assert "sketch" in capsys.readouterr().out


def test_several_pictures_get_files_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a fox", "-n", "2", "--size", "64x64", "-o", "fox.png", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(name).name for name in told["files"]] == ["fox-1.png", "fox-2.png"]
    assert [item["seed"] for item in told["items"]] == [0, 1]
    assert Path("fox-1.png").read_bytes() != Path("fox-2.png").read_bytes()


def test_without_a_name_no_file_is_written_over() -> None:
    Path("imagegate-1.png").write_bytes(b"mine")
    assert main(["generate", "a fox", "size=64x64"]) == 0
    assert Path("imagegate-1.png").read_bytes() == b"mine"
    with Image.open("imagegate-2.png") as picture:
        assert picture.size == (64, 64)


def test_words_may_stand_among_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a fox", "size=64x64", "-o", "fox.webp", "steps=5"]) == 0
    assert "steps: sketch draws by rules" in capsys.readouterr().out


def test_a_running_gateway_makes_the_pictures_where_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with journey_to("openai", tmp_path) as journey:
        options = ["--base-url", journey.base_url, "-m", "m", "--size", "100x50", "-o", "there.jpg", "--json"]
        assert main(["generate", "a fox", *options]) == 0
        assert len(journey.simulator.submissions) == 1
    with Image.open("there.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (100, 50))
    assert json.loads(capsys.readouterr().out)["metadata"]["provider"] == "p"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["generate", "a fox", "steps"], 2, "KEY=VALUE"),
        (["generate", "a fox", "-o", "fox.tiff"], 2, "ends in one of"),
        (["generate", "a fox", "-o", "nowhere/fox.png"], 2, "not a folder"),
        (["generate", "a fox", "size=big"], 1, "Invalid value for size"),
        (["generate", "a fox", "-m", "nobody"], 1, "does not exist"),
        (["generate", "a fox", "--base-url", "http://127.0.0.1:1/v1"], 1, "cannot be reached"),
        (["plan", "size=big"], 1, "Invalid value for size"),
        (["plan", "size"], 2, "KEY=VALUE"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_right_exit_code(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert said in captured.err


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "size=1x1", "--nope"])
    assert ended.value.code == 2
    assert "--nope" in capsys.readouterr().err


def test_the_plan_shows_what_would_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "--model", "sketch", "--json", "prompt=a fox", "size=21:9", "n=2", "seed=4", "steps=9"]
    assert main(words) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    bodies = [call["body"] for call in plan["calls"]]
    assert bodies == [{"prompt": "a fox", "width": 1563, "height": 670, "seed": seed} for seed in (4, 5)]
    assert plan["lossless"] is False


def test_the_plan_reads_well_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "size=21:9", "provider_options.sketch.x=1", "steps=9"]) == 0
    out = capsys.readouterr().out
    assert "DRAW providers.sketch:draw" in out
    assert "what each parameter becomes" in out


def test_brackets_and_colons_of_a_prompt_are_text_and_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "a fox [/b] [red]:smiley: x"
    assert main(["plan", f"prompt={prompt}", "steps=9"]) == 0
    assert prompt in capsys.readouterr().out
    assert main(["generate", prompt, "size=64x64", "-o", "fox [b].png"]) == 0
    assert "[b].png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("item", "rest", "code", "said"),
    [
        ({"b64_json": PIXEL}, {"output_format": "jpg", "metadata": {"cost": "0.1", "parameters": [7]}}, 0, ""),
        ({"b64_json": PIXEL}, {"output_format": 7, "metadata": ["made"]}, 0, ""),
        ({"b64_json": "not base64!"}, {}, 1, "answered without a picture"),
        ({"b64_json": 7}, {}, 1, "answered without a picture"),
        ({"url": "http://127.0.0.1/x.png"}, {}, 1, "answered without a picture"),
    ],
)
def test_a_picture_that_came_is_kept_whatever_else_an_api_says(
    item: dict[str, Any], rest: dict[str, Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(json.dumps({"data": [item], **rest}).encode()) as base:
        assert main(["generate", "a fox", "--base-url", base]) == code
    assert said in capsys.readouterr().err
    if code == 0:
        with Image.open("imagegate-1.gif") as picture:
            assert picture.size == (1, 1)


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """An API that says the same to whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def test_strict_is_for_the_plan_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--strict", "steps=9"]) == 1
    assert "strict" in capsys.readouterr().err


def test_pictures_are_edited_here_and_at_a_running_gateway(tmp_path: Path) -> None:
    Path("fox.png").write_bytes(painted(64, 48).content.read())
    Path("mask.png").write_bytes(mask_for(64, 48, (0, 0, 32, 48)).content.read())
    with journey_to("openai", tmp_path) as journey:
        there = ["--base-url", journey.base_url, "-m", "m", "--mask", "mask.png"]
        assert main(["edit", "fox.png", "--prompt", "winter", "-o", "there.png", "size=100x50", *there]) == 0
        (submission,) = journey.simulator.submissions
        assert submission.path.endswith("/images/edits")
    with Image.open("there.png") as picture:
        assert picture.size == (100, 50)
    assert main(["edit", "fox.png", "--prompt", "winter", "-o", "here.webp", "--size", "64x48"]) == 0
    with Image.open("here.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (64, 48))


@pytest.mark.parametrize(
    "words",
    [["--prompt", "x"], ["missing.png", "--prompt", "x"], ["fox.png"], ["fox.png", "--prompt", "x", "--mask", "no"]],
)
def test_an_edit_without_its_picture_or_prompt_is_wrong_usage(words: list[str]) -> None:
    Path("fox.png").write_bytes(painted(8, 8).content.read())
    try:
        code = main(["edit", *words])
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
