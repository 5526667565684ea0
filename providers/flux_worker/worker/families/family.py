"""What every family has in common: schedule, rows of a batch, the step from one sigma to the next, pixels.

The stock diffusers pipelines prepare latents and decode them, so that a picture is theirs; the steps between are taken
here, so that pictures at different steps, with other numbers of steps, guidance and prompts, share a batch.
"""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from providers.flux_worker.worker.caching import Blocks, FirstBlocks, Inputs
from providers.flux_worker.worker.embeddings import Embeddings
from providers.flux_worker.worker.families.runs import Row, Run, Tensor, Text
from providers.flux_worker.worker.folders import Kind
from providers.flux_worker.worker.work import BadPicture, Refused, Work

TOKEN = 16
"""Pixels of a token's side: the VAE halves three times, and 2 x 2 of its latents are one token."""

ROPES_MOST = 64
"""Tables of positions kept: one for each shape of late."""

PICTURES = "input"
"""Where a request carries its pictures and its prompt."""
OPTIONS = "provider_options.image"

COVER = "crop"
"""How diffusers' processors bring a picture to another shape without stretching it: it covers, and what is over at the
sides is left out evenly. Of an equal shape nothing is."""


class Family(ABC):
    """Weights of one family. Its own thread owns it, but for `check`, which any may call."""

    blocks: Blocks

    def __init__(self, pipe: Any, kind: Kind, device: str, embeddings: Embeddings, cache: FirstBlocks) -> None:
        self.pipe = pipe
        self.kind = kind
        self.device = torch.device(device)
        self.dtype = pipe.transformer.dtype
        self.embeddings = embeddings
        self.cache = cache
        self._ropes: OrderedDict[Hashable, Any] = OrderedDict()
        self._counting = threading.Lock()

    # Reading what is asked

    def check(self, work: Work) -> None:
        """Raise Refused where this model cannot carry the work out. Any thread."""
        _check_shape(work)
        self._check_mode(work)
        if work.negative_prompt and not self.kind.negative:
            raise Refused(f"{self.kind.family} reads no negative prompt: leave it out", f"{OPTIONS}.negative_prompt")
        if work.mode in ("img2img", "inpaint") and not 0 < work.strength <= 1:
            raise Refused(f"strength is {work.strength}; it must be above 0 and at most 1", f"{OPTIONS}.strength")
        with self._counting:  # a tokenizer is not made for several threads
            self._check_prompts(work)

    def _check_mode(self, work: Work) -> None:
        if work.mode not in self.kind.modes:
            known = ", ".join(sorted(self.kind.modes))
            raise Refused(f"{self.kind.family} cannot do {work.mode!r}; it can: {known}", PICTURES)
        least, most = self._pictures(work)
        if not least <= len(work.pictures) <= most:
            many = str(least) if least == most else f"{least} to {most}"
            raise Refused(
                f"{work.mode} by {self.kind.family} takes {many} pictures, not {len(work.pictures)}", PICTURES
            )
        if (work.mask is not None) != (work.mode in ("inpaint", "fill")):
            said = "needs a mask" if work.mask is None else "takes no mask"
            raise Refused(f"{work.mode} {said}", PICTURES)

    def _pictures(self, work: Work) -> tuple[int, int]:
        match work.mode:
            case "generate":
                return 0, 0
            case "edit":
                return 1, self.kind.references_most
            case _:
                return 1, 1

    @abstractmethod
    def _check_prompts(self, work: Work) -> None:
        """Raise Refused where a prompt is longer than the model reads: it is never cut."""

    def _tokenizer_copy(self, name: str) -> Any:
        """For counting: the pipeline's own is in use by the thread that encodes, and is changed by every use."""
        return copy.deepcopy(getattr(self.pipe, name))

    # A run, from its noise to its pixels

    def prepare(self, work: Work) -> Run:
        """Prompt, noise and pictures on the device; the work was checked."""
        with torch.no_grad():
            run = self._prepare(work)
        run.fast = work.quality == "fast"
        return run

    @abstractmethod
    def _prepare(self, work: Work) -> Run: ...

    def key(self, run: Run) -> Hashable:
        """Runs of the same key fit into one batch: all that the transformer's shapes and positions depend on."""
        return run.grid, run.reference_grids, run.rows[0].text.tokens.shape[1], len(run.rows)

    def tokens(self, run: Run) -> int:
        """Of one pass, all rows together: what memory goes by."""
        references = sum(down * across for down, across in run.reference_grids)
        own: int = run.latents.shape[1] + run.rows[0].text.tokens.shape[1]
        return len(run.rows) * (own + references)

    def step(self, runs: Sequence[Run]) -> list[bool]:
        """One step of each; all have the same key. Which of them are numbers still (False: a NaN or an infinity)."""
        with torch.no_grad():
            return self._step(runs)

    def _step(self, runs: Sequence[Run]) -> list[bool]:
        latents = torch.cat([run.latents for run in runs])
        velocity = _guided(self._velocity(runs), runs)
        now = torch.stack([run.sigmas[run.index] for run in runs]).to(self.device).view(-1, 1, 1)
        then = torch.stack([run.sigmas[run.index + 1] for run in runs]).to(self.device).view(-1, 1, 1)
        moved = (latents.float() + (then - now) * velocity).to(latents.dtype)
        clean = (latents.float() - now * velocity).to(latents.dtype)
        for place, run in enumerate(runs):
            run.latents, run.clean = moved[place : place + 1], clean[place : place + 1]
            if run.kept is not None:
                run.latents = run.kept.blend(run.latents, then[place]).to(latents.dtype)
                run.clean = run.kept.blend(run.clean, torch.zeros_like(then[place])).to(latents.dtype)
            run.index += 1
        finite: list[bool] = torch.isfinite(moved).flatten(1).all(1).tolist()
        return finite

    def _velocity(self, runs: Sequence[Run]) -> Tensor:
        """(B, S, C): of every row, run by run."""
        return self.cache.velocity(self.blocks, self._inputs(runs), runs)

    def _inputs(self, runs: Sequence[Run]) -> Inputs:
        pairs = [(run, row) for run in runs for row in run.rows]
        pooled = [row.text.pooled for _, row in pairs]
        return Inputs(
            image=torch.cat([self._image(run) for run, _ in pairs]).to(self.dtype),
            text=torch.cat([row.text.tokens for _, row in pairs]),
            pooled=None if pooled[0] is None else torch.cat(pooled),
            times=self._times(pairs),
            guidance=self._guidance(pairs),
            rope=self._rope(runs[0]),
            rows=tuple(row for _, row in pairs),
            target=runs[0].latents.shape[1],
        )

    def _image(self, run: Run) -> Tensor:
        image = run.latents
        if run.channels is not None:
            image = torch.cat([image, run.channels], dim=2)
        if run.references is not None:
            image = torch.cat([image, run.references.to(image.dtype)], dim=1)
        return image

    def _times(self, pairs: Sequence[tuple[Run, Row]]) -> Tensor:
        """(B,): 0 to 1000, rounded as the stock pipelines round it in the model's own numbers."""
        times = torch.stack([run.sigmas[run.index] for run, _ in pairs]) * 1000
        return (times.to(self.device, self.dtype) / 1000).to(self.dtype) * 1000

    def _guidance(self, pairs: Sequence[tuple[Run, Row]]) -> Tensor | None:
        if not self.kind.embeds_guidance:
            return None
        scales = torch.tensor([run.work.guidance for run, _ in pairs], dtype=torch.float32)
        return scales.to(self.device, self.dtype) * 1000

    def _rope(self, run: Run) -> Any:
        """Cosines and sines of every token's position, text first; the same for all of a batch."""
        shape = (run.grid, run.reference_grids, run.rows[0].text.tokens.shape[1])
        if shape not in self._ropes:
            self._ropes[shape] = self._positions(*shape)
            if len(self._ropes) > ROPES_MOST:
                self._ropes.popitem(last=False)
        self._ropes.move_to_end(shape)
        return self._ropes[shape]

    @abstractmethod
    def _positions(self, grid: tuple[int, int], references: tuple[tuple[int, int], ...], text: int) -> Any: ...

    def pixels(self, run: Run, latents: Tensor) -> Tensor:
        """(3, height, width), float32 in [0, 1], on the device. Raises BadPicture where they are no numbers."""
        with torch.no_grad():
            decoded = self.pipe.vae.decode(self._unpack(run, latents), return_dict=False)[0]
        if not torch.isfinite(decoded).all():
            raise BadPicture("the decoder came to numbers that are none")
        return (decoded[0].float() / 2 + 0.5).clamp(0, 1)

    @abstractmethod
    def _unpack(self, run: Run, latents: Tensor) -> Tensor:
        """What the VAE decodes: (1, C, height / 8, width / 8)."""

    def warm_up_work(self, width: int, height: int) -> Work:
        """Work of this size that this model can do with nothing given: one that needs a picture gets a grey one."""
        work = Work("warm-up", width, height, 2, 0, self.kind.default_guidance)
        if self.kind.modes == {"fill"}:
            grey, mask = Image.new("RGB", (width, height), "grey"), Image.new("L", (width, height), 255)
            work = replace(work, mode="fill", pictures=(grey,), mask=mask)
        return work

    # Pieces of `prepare`

    def _text(self, key: Hashable, encode: Any) -> Text:
        text = self.embeddings.get(key)
        if text is None:
            text = encode()
            self.embeddings.put(key, text)
        return text

    def _noise(self, work: Work) -> Any:
        """Drawn on the CPU, whatever the device: a seed is the same picture everywhere."""
        return torch.Generator("cpu").manual_seed(work.seed)

    def _schedule(self, work: Work, mu: float) -> None:
        """Leave the work's sigmas with the pipeline's scheduler."""
        scheduler = self.pipe.scheduler
        if scheduler.config.get("use_flow_sigmas"):
            scheduler.set_timesteps(work.steps, device="cpu", mu=mu)
        else:
            even = [1 - place / work.steps for place in range(work.steps)]
            scheduler.set_timesteps(sigmas=even, device="cpu", mu=mu)
        scheduler.set_begin_index(0)

    def _sigmas(self, start: int = 0) -> Tensor:
        return self.pipe.scheduler.sigmas[start:].to("cpu", torch.float32).clone()


def picture_of(pixels: Tensor) -> Image.Image:
    """8 bits of each colour, rounded as diffusers does."""
    colours = (pixels.permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous().cpu()
    return Image.frombytes("RGB", (colours.shape[1], colours.shape[0]), colours.numpy().tobytes())


def grid_of(work: Work) -> tuple[int, int]:
    return work.height // TOKEN, work.width // TOKEN


def mask_of(work: Work) -> Image.Image:
    """The mask in the shape of the picture that it is of, so that both are cut alike."""
    mask, (width, height) = work.mask, work.pictures[0].size
    assert mask is not None  # noqa: S101  (checked before)
    return mask if mask.width * height == mask.height * width else mask.resize((width, height))


def _check_shape(work: Work) -> None:
    for name, side in (("width", work.width), ("height", work.height)):
        if side < 128 or side % TOKEN:
            raise Refused(f"{name} is {side}; it must be a multiple of {TOKEN}, at least 128", f"{OPTIONS}.{name}")
    if work.steps < 1:
        raise Refused(f"steps is {work.steps}; it must be at least 1", f"{OPTIONS}.steps")


def _guided(velocity: Tensor, runs: Sequence[Run]) -> Tensor:
    """(runs, S, C): where runs have two rows, pushed away from the second."""
    if len(runs[0].rows) == 1:
        return velocity
    towards, away = velocity[0::2], velocity[1::2]
    scales = torch.tensor([run.scale for run in runs], dtype=torch.float32, device=velocity.device).view(-1, 1, 1)
    return away.float() + scales * (towards.float() - away.float())
