"""From what the engine made to bodies of MAX's wire, whole or as a stream of events.

MAX streams nothing; ours ends in `response.completed` with the very body that an unstreamed request gets, and `[DONE]`.
Names of events that are not OpenAI's carry a prefix, as the Open Responses specification asks of extensions.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from providers.flux_worker.protocol import OutputImage, OutputMessage, Response
from providers.flux_worker.words import OUT_OF_MEMORY, PARTIAL, PROGRESS
from providers.flux_worker.worker import pictures
from providers.flux_worker.worker.pictures import Codecs, Origin
from providers.flux_worker.worker.reading import Asked, Reader
from providers.flux_worker.worker.running import End, Run, Step
from providers.flux_worker.worker.shelf import Full, Shelf
from providers.flux_worker.worker.wire import Refusal
from providers.flux_worker.worker.work import BadPicture, Busy, Cancelled, Made, OutOfMemory, Refused

DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class Answering:
    """One request's answer in the making. `base`: the address that a client reached the worker by."""

    asked: Asked
    reader: Reader
    codecs: Codecs
    shelf: Shelf
    base: str
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    created: int = field(default_factory=lambda: int(time.time()))
    _number: int = 0

    async def whole(self, run: Run) -> bytes:
        """The body. Raises Refusal; whoever calls cancels what is left then."""
        made: dict[int, Made] = {}
        async for told in run.heard():
            if isinstance(told, End):
                made[told.place] = self._succeeded(told.made)
        return await self._body(made)

    async def events(self, run: Run) -> AsyncGenerator[bytes, None]:
        """The events, from `response.created` to `[DONE]`. Raises nothing that the engine tells: that is an event."""
        yield self._event("response.created", {"response": {"id": f"resp_{self.id}", "status": "in_progress"}})
        made: dict[int, Made] = {}
        shown: dict[int, int] = {}
        try:
            async for told in run.heard():
                if isinstance(told, Step):
                    yield await self._stepped(told, shown)
                else:
                    made[told.place] = self._succeeded(told.made)
            body = await self._body(made)
        except Refusal as refusal:
            # The status line is gone: the event says which it would have been.
            yield self._event("error", {**refusal.body(), "status": refusal.status})
        else:
            yield self._event("response.completed", {}, response=body)
        yield DONE

    async def _stepped(self, told: Step, shown: dict[int, int]) -> bytes:
        progress = told.progress
        data = {"image_index": told.place, "step": progress.step, "steps": progress.steps}
        if progress.preview is None:
            return self._event(PROGRESS, data)
        form = self.asked.previews_form
        picture = await self.codecs.run(partial(pictures.preview, progress.preview, form))
        index = shown.get(told.place, 0)
        shown[told.place] = index + 1
        more = {"partial_image_index": index, "partial_image_b64": pictures.in_base64(picture)}
        return self._event(PARTIAL, {**data, **more, "output_format": form})

    def _succeeded(self, made: Made | Exception) -> Made:
        if isinstance(made, Made):
            return made
        raise refusal_of(made, self.reader) from made

    async def _body(self, made: Mapping[int, Made]) -> bytes:
        content = [await self._part(place, made[place]) for place in range(len(self.asked.works))]
        message = OutputMessage(id=f"msg_{self.id}_0", content=[part for part, _ in content])
        first = self.asked.works[0]
        details = {
            "width": first.width,
            "height": first.height,
            "megapixels": round(first.width * first.height / 1e6, 6),
            "steps": first.steps,
            "image_count": len(content),
        }
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "image_generation_details": details}
        response = Response(
            id=f"resp_{self.id}", created_at=self.created, model=self.asked.model, output=[message], usage=usage
        ).model_dump(exclude_none=True)
        for part, (_, told) in zip(response["output"][0]["content"], content, strict=True):
            part["imagegate"] = told
        return await self.codecs.run(partial(orjson.dumps, response))

    async def _part(self, place: int, made: Made) -> tuple[OutputImage, dict[str, Any]]:
        """The picture as the wire has it, and what we tell of it under a key of our own."""
        work, form = self.asked.works[place], self.asked.form
        guidance = work.guidance if self.reader.model.guided else None
        origin = Origin(self.asked.model, work.seed, made.steps, guidance)
        data = await self.codecs.run(partial(pictures.encode, made.picture, form, origin))
        told: dict[str, Any] = {"seed": work.seed, "steps": made.steps, "skipped": made.skipped}
        told |= {"seconds": round(made.seconds, 3), "waited": round(made.waited, 3)}
        if self.asked.by_url:
            try:
                name = self.shelf.put(data, form)
            except Full:
                message = "the store of pictures is full; ask for b64_json, or later"
                raise Refusal(507, message, param="response_format") from None
            address = f"{self.base}/v1/images/{name}/content"
            return OutputImage(image_url=address, format=form), told
        text = await self.codecs.run(partial(pictures.in_base64, data))
        return OutputImage(image_data=text, format=form), told

    def _event(self, kind: str, data: Mapping[str, Any], *, response: bytes | None = None) -> bytes:
        """`response` is a body that is JSON already."""
        head = {"type": kind, "sequence_number": self._number, **data}
        self._number += 1
        text = orjson.dumps(head)
        if response is not None:
            text = text[:-1] + b',"response":' + response + b"}"
        return b"event: " + kind.encode() + b"\ndata: " + text + b"\n\n"


def refusal_of(trouble: Exception, reader: Reader) -> Refusal:
    """What a piece of work that failed is answered with. The trouble itself is for the log."""
    match trouble:
        case Refused():
            return reader.refusal(trouble)
        case Busy():
            return Refusal(503, f"the worker is busy: {trouble}", retry_after=trouble.seconds)
        case OutOfMemory():
            message = "out of memory: the device cannot hold this request; ask for a smaller picture or fewer"
            return Refusal(500, message, code=OUT_OF_MEMORY)
        case BadPicture():
            return Refusal(500, "the model came to numbers that are no picture; another seed may", code="bad_picture")
        case Cancelled():
            return Refusal(503, "the work was cancelled; try again", retry_after=1)
        case _:
            return Refusal(500, "Internal server error.")
