"""What journeys of edits share: a gateway before a provider that takes pictures, and what is looked for in a result."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.given import mask_for, painted
from tests.journeys import SECRET, SIMULATORS, Journey, opened
from tests.served import served, settings_of

KINDS = ("sketch", "flux_worker", "apiframe", "onemin", "modelverse", "openai", "openai, json")
MOST = {"sketch": 16, "flux_worker": 1, "apiframe": 8, "onemin": 1, "modelverse": 4, "openai": 16, "openai, json": 16}
NATIVE_MASK = ("openai", "openai, json")

ORANGE = (255, 165, 0)
PHOTO = painted(600, 400).content.read()
COLOURS = (
    "navy",
    "green",
    "red",
    "black",
    "white",
    "teal",
    "olive",
    "gray",
    "purple",
    "maroon",
    "lime",
    "aqua",
    "blue",
)
OTHERS = [painted(60, 40, colour).content.read() for colour in (*COLOURS, "pink", "gold")]
HOLE = (150, 100, 450, 300)
MASK = mask_for(600, 400, HOLE).content.read()


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


class Editing(Journey):
    """A running gateway in front of one provider, whose data directory is known."""

    def __init__(self, base_url: str, simulator: Any, kind: str, data: Path) -> None:
        super().__init__(base_url, simulator)
        self.kind, self.most, self.spool = kind, MOST[kind], data / "spool"

    def edit(self, *pictures: bytes, **parameters: Any) -> dict[str, Any]:
        """A JSON edit's answer, by b64_json."""
        answer = self.post({"images": [{"image_url": uri(each)} for each in pictures or (PHOTO,)], **parameters})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert isinstance(body, dict)
        return body

    def post(self, body: Mapping[str, Any], *, query: str = "") -> httpx.Response:
        asked = {"model": "m", "prompt": "a red fox", "response_format": "b64_json", **body}
        return httpx.post(f"{self.base_url}/images/edits{query}", json=asked, timeout=60)

    @property
    def submissions(self) -> int:
        return 0 if self.simulator is None else len(self.simulator.submissions)


@contextmanager
def editing(kind: str, folder: Path, *, also: Sequence[str] = ()) -> Iterator[Editing]:
    """The model `m` at one kind of provider, and behind it at others. The gateway knows its own address, at which
    providers fetch pictures."""
    with ExitStack() as stack:
        listener = socket.create_server(("127.0.0.1", 0))
        providers, routes, simulators = {}, [], []
        for name in (kind, *also):
            entry: dict[str, Any] = {"type": name}
            model, simulator = "sketch", None
            if name != "sketch":
                type_of, model, simulate = SIMULATORS[name.partition(",")[0]]
                simulator = stack.enter_context(simulate())
                entry = {"type": type_of, "base_url": simulator.base_url, "api_key": SECRET}
            if name == "apiframe":
                entry["poll_seconds"] = {"first": 0.02, "factor": 1.5, "max": 0.1}
            if name == "openai, json":
                entry["edits"] = "json"
            providers[name.partition(",")[0]] = entry
            routes.append({"provider": name.partition(",")[0], "model": model})
            simulators.append(simulator)
        config = {
            "server": {"public_url": f"http://127.0.0.1:{listener.getsockname()[1]}"},
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "providers": providers,
            "models": {"m": {"routes": routes}},
        }
        base_url = stack.enter_context(served(settings_of(folder, config), listener))
        yield Editing(base_url, simulators[0], kind, folder / "data")


def entry_of(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    (entry,) = [each for each in answer["metadata"]["parameters"] if each["name"] == name]
    assert isinstance(entry, dict)
    return entry


def image_of(answer: Mapping[str, Any], place: int = 0) -> Image.Image:
    return opened(base64.b64decode(answer["data"][place]["b64_json"], validate=True))


def near(image: Image.Image, at: tuple[float, float], colour: tuple[int, int, int], most: int = 4) -> bool:
    """Whether a pixel, named by its shares of the sides, has about this colour."""
    x, y = int(at[0] * (image.width - 1)), int(at[1] * (image.height - 1))
    found = image.convert("RGB").crop((x, y, x + 1, y + 1)).tobytes()
    return all(abs(one - two) <= most for one, two in zip(found, colour, strict=True))


def shows_the_photo(journey: Editing, image: Image.Image) -> bool:
    """Simulated models keep the photo's colour but for the middle; sketch draws over it."""
    if journey.kind != "sketch":
        return near(image, (0, 0), ORANGE) and near(image, (1, 0), ORANGE)
    red, _, blue = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).tobytes()
    return red > blue + 40
