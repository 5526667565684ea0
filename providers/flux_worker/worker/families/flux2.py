"""FLUX.2: dev, and klein in its distilled and base forms. Pictures are references: tokens beside its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import diffusers
import torch
from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu, format_input
from PIL import Image

from providers.flux_worker.worker.caching import Inputs, Streams
from providers.flux_worker.worker.families.family import COVER, OPTIONS, PICTURES, TOKEN, Family, grid_of, mask_of
from providers.flux_worker.worker.families.runs import Kept, Row, Run, Tensor, Text
from providers.flux_worker.worker.work import Refused, Work

PROMPT_MOST = 512
"""Tokens of a prompt, with those of the template around it: what the pipelines pad to and cut at."""

REFERENCE_PIXELS = 1024 * 1024
"""A reference larger than this is made smaller first."""

REFERENCE_SIDE_LEAST = 64
"""A reference with a shorter side is made larger first: the pipelines take none below."""


class Flux2Blocks:
    """A Flux2Transformer2DModel in pieces."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def enter(self, inputs: Inputs) -> Streams:
        model = self.transformer
        time = model.time_guidance_embed(inputs.times, inputs.guidance)
        modulations = (
            time,
            model.double_stream_modulation_img(time),
            model.double_stream_modulation_txt(time),
            model.single_stream_modulation(time),
        )
        image, text = model.x_embedder(inputs.image), model.context_embedder(inputs.text)
        return Streams(image, text, modulations, inputs.rope, inputs.rows, inputs.target)

    def first(self, streams: Streams) -> Streams:
        return self._double(0, streams)

    def _double(self, place: int, streams: Streams) -> Streams:
        _, image_modulation, text_modulation, _ = streams.modulations
        text, image = self.transformer.transformer_blocks[place](
            hidden_states=streams.image,
            encoder_hidden_states=streams.text,
            temb_mod_img=image_modulation,
            temb_mod_txt=text_modulation,
            image_rotary_emb=streams.rope,
            joint_attention_kwargs=self.keys("double", place, streams),
        )
        return replace(streams, image=image, text=text)

    def rest(self, streams: Streams) -> Tensor:
        for place in range(1, len(self.transformer.transformer_blocks)):
            streams = self._double(place, streams)
        hidden = torch.cat([streams.text, streams.image], dim=1)
        for place, block in enumerate(self.transformer.single_transformer_blocks):
            hidden = block(
                hidden_states=hidden,
                encoder_hidden_states=None,
                temb_mod=streams.modulations[3],
                image_rotary_emb=streams.rope,
                joint_attention_kwargs=self.keys("single", place, streams),
            )
        start = streams.text.shape[1]
        return hidden[:, start : start + streams.target]

    def keys(self, kind: str, place: int, streams: Streams) -> dict[str, Any] | None:
        """What a block's attention is given beside the tokens."""
        return None

    def leave(self, hidden: Tensor, streams: Streams) -> Tensor:
        return self.transformer.proj_out(self.transformer.norm_out(hidden, streams.modulations[0]))


class Flux2(Family):
    """Flux2Pipeline and Flux2KleinPipeline."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.blocks = Flux2Blocks(self.pipe.transformer)
        self._reader = self._tokenizer_copy("tokenizer")
        if "inpaint" in self.kind.modes:
            distilled = self.pipe.config.is_distilled
            self._inpaint = diffusers.Flux2KleinInpaintPipeline(**self.pipe.components, is_distilled=distilled)

    def _pictures(self, work: Work) -> tuple[int, int]:
        return (1, 2) if work.mode == "inpaint" else super()._pictures(work)

    def check(self, work: Work) -> None:
        super().check(work)
        for name in ("secondary_prompt", "secondary_negative_prompt"):
            if getattr(work, name):
                raise Refused(f"{self.kind.family} reads one prompt: leave {name} out", f"{OPTIONS}.{name}")
        for picture in work.pictures:
            try:
                Flux2ImageProcessor.check_image_input(picture, min_side_length=1)
            except ValueError as error:
                raise Refused(str(error), PICTURES) from error

    def _check_prompts(self, work: Work) -> None:
        for prompt, param in ((work.prompt, PICTURES), (work.negative_prompt, f"{OPTIONS}.negative_prompt")):
            count = 0 if prompt is None else self._length(prompt)
            if count > PROMPT_MOST:
                said = f"Prompt is too long: {count} tokens with what is put around it; at most {PROMPT_MOST}"
                raise Refused(said, param)

    def _length(self, prompt: str) -> int:
        if isinstance(self.pipe, diffusers.Flux2Pipeline):
            messages = format_input([prompt], system_message=self.pipe.system_message)
            read = self._reader.apply_chat_template(
                messages, add_generation_prompt=False, tokenize=True, return_dict=True
            )
            return len(read["input_ids"][0])
        asked = [{"role": "user", "content": prompt}]
        text = self._reader.apply_chat_template(
            asked, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return len(self._reader(text)["input_ids"])

    def _prepare(self, work: Work) -> Run:
        rows, scale = self._rows(work)
        self._schedule(work, compute_empirical_mu(work.width * work.height // TOKEN**2, work.steps))
        if work.mode == "inpaint":
            return self._inpainting(work, rows, scale)
        dtype, channels = rows[0].text.tokens.dtype, self.pipe.transformer.config.in_channels // 4
        latents, _ = self.pipe.prepare_latents(
            1, channels, work.height, work.width, dtype, self.device, self._noise(work)
        )
        references, grids = self._references(work.pictures)
        return Run(work, latents, self._sigmas(), rows, grid_of(work), scale, references, grids)

    def _rows(self, work: Work) -> tuple[tuple[Row, ...], float]:
        """klein's base form is guided by a second row always; dev, whose guidance is embedded, only where asked."""
        negative, scale = work.negative_prompt or "", 1.0
        if self.kind.guided and not self.kind.embeds_guidance:
            scale = work.guidance
        elif self.kind.negative and work.negative_prompt:
            scale = work.true_cfg_scale
        prompts = [work.prompt, negative] if scale > 1 else [work.prompt]
        return tuple(Row(self._encoded(prompt)) for prompt in prompts), scale

    def _encoded(self, prompt: str) -> Text:
        def encode() -> Text:
            return Text(self.pipe.encode_prompt(prompt=prompt, device=self.device)[0])

        return self._text(prompt, encode)

    def _references(self, pictures: Sequence[Image.Image]) -> tuple[Tensor | None, tuple[tuple[int, int], ...]]:
        if not pictures:
            return None, ()
        read = [self._reference(picture) for picture in pictures]
        latents, _ = self.pipe.prepare_image_latents(
            images=read, batch_size=1, generator=None, device=self.device, dtype=self.pipe.vae.dtype
        )
        return latents, tuple((each.shape[2] // TOKEN, each.shape[3] // TOKEN) for each in read)

    def _reference(self, picture: Image.Image) -> Tensor:
        processor, picture = self.pipe.image_processor, _enlarged(picture)
        if picture.width * picture.height > REFERENCE_PIXELS:
            picture = processor._resize_to_target_area(picture, REFERENCE_PIXELS)
        width, height = picture.width // TOKEN * TOKEN, picture.height // TOKEN * TOKEN
        return processor.preprocess(picture, height=height, width=width, resize_mode="crop")

    def _inpainting(self, work: Work, rows: tuple[Row, ...], scale: float) -> Run:
        """As Flux2KleinInpaintPipeline: the picture is where the noise begins, and a reference too."""
        pipe, noise, dtype = self._inpaint, self._noise(work), rows[0].text.tokens.dtype
        size = {"height": work.height, "width": work.width}
        picture = pipe.image_processor.preprocess(work.pictures[0], **size, resize_mode=COVER)
        times, left = pipe.get_timesteps(work.steps, work.strength, "cpu")
        channels = self.pipe.transformer.config.in_channels // 4
        latents, drawn, start, encoded, _ = pipe.prepare_latents(
            picture, times[:1].to(self.device), 1, channels, work.height, work.width, dtype, self.device, noise
        )
        others = [self._reference(each) for each in work.pictures[1:]]
        references, _ = pipe.prepare_image_latents([encoded, *others], 1, noise, self.device, dtype)
        mask = pipe.mask_processor.preprocess(mask_of(work), **size, resize_mode=COVER)
        mask = pipe.prepare_mask_latents(mask, 1, 1, work.height, work.width, dtype, self.device)
        grids = (grid_of(work), *((each.shape[2] // TOKEN, each.shape[3] // TOKEN) for each in others))
        run = Run(work, latents, self._sigmas(work.steps - left), rows, grid_of(work), scale, references, grids)
        run.kept = Kept(mask, start, drawn)
        return run

    def _positions(self, grid: tuple[int, int], references: tuple[tuple[int, int], ...], text: int) -> Any:
        """Text by its place; tokens by row and column, those of reference k at time 10 * (k + 1)."""
        grids = [(0, grid), *((10 * (place + 1), each) for place, each in enumerate(references))]
        places = [
            _places([0], [0], [0], range(text)),
            *(_places([at], range(h), range(w), [0]) for at, (h, w) in grids),
        ]
        return self.pipe.transformer.pos_embed(torch.cat(places).to(self.device))

    def _unpack(self, run: Run, latents: Tensor) -> Tensor:
        down, across = run.grid
        spread = latents.view(1, down, across, -1).permute(0, 3, 1, 2)
        norm = self.pipe.vae.bn
        mean = norm.running_mean.view(1, -1, 1, 1).to(spread.device, spread.dtype)
        deviation = torch.sqrt(norm.running_var.view(1, -1, 1, 1) + self.pipe.vae.config.batch_norm_eps)
        spread = spread * deviation.to(spread.device, spread.dtype) + mean
        return self.pipe._unpatchify_latents(spread).to(self.pipe.vae.dtype)


def _enlarged(picture: Image.Image) -> Image.Image:
    """At least REFERENCE_SIDE_LEAST at the shorter side, in its own shape."""
    short = min(picture.size)
    if short >= REFERENCE_SIDE_LEAST:
        return picture
    width, height = (round(side * REFERENCE_SIDE_LEAST / short) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _places(*axes: Any) -> Tensor:
    return torch.cartesian_prod(*(torch.tensor(list(axis)) for axis in axes))
