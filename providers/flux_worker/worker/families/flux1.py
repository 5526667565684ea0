"""FLUX.1: dev and schnell, with a picture to begin from or to repair; Kontext, which edits; Fill, which paints in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import diffusers
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS

from providers.flux_worker.worker.caching import Inputs, Streams
from providers.flux_worker.worker.families.family import COVER, OPTIONS, PICTURES, TOKEN, Family, grid_of, mask_of
from providers.flux_worker.worker.families.runs import Kept, Row, Run, Tensor, Text
from providers.flux_worker.worker.work import Refused, Work

PROMPT_MOST = 512
SCHNELL_PROMPT_MOST = 256
"""Tokens that T5 reads for the guided models and for schnell, as its model card says."""


class Flux1Blocks:
    """A FluxTransformer2DModel in pieces."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def enter(self, inputs: Inputs) -> Streams:
        model = self.transformer
        guidance = () if inputs.guidance is None else (inputs.guidance,)
        time = model.time_text_embed(inputs.times, *guidance, inputs.pooled)
        image, text = model.x_embedder(inputs.image), model.context_embedder(inputs.text)
        return Streams(image, text, (time,), inputs.rope, inputs.rows, inputs.target)

    def first(self, streams: Streams) -> Streams:
        return self._through(self.transformer.transformer_blocks[0], streams)

    def _through(self, block: Any, streams: Streams) -> Streams:
        text, image = block(
            hidden_states=streams.image,
            encoder_hidden_states=streams.text,
            temb=streams.modulations[0],
            image_rotary_emb=streams.rope,
            joint_attention_kwargs=None,
        )
        return replace(streams, image=image, text=text)

    def rest(self, streams: Streams) -> Tensor:
        for block in (*self.transformer.transformer_blocks[1:], *self.transformer.single_transformer_blocks):
            streams = self._through(block, streams)
        return streams.image[:, : streams.target]

    def leave(self, hidden: Tensor, streams: Streams) -> Tensor:
        return self.transformer.proj_out(self.transformer.norm_out(hidden, streams.modulations[0]))


class Flux1(Family):
    """FluxPipeline, FluxImg2ImgPipeline, FluxInpaintPipeline, FluxKontextPipeline and FluxFillPipeline."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.blocks = Flux1Blocks(self.pipe.transformer)
        self._clip, self._t5 = self._tokenizer_copy("tokenizer"), self._tokenizer_copy("tokenizer_2")
        self._prompt_most = PROMPT_MOST if self.kind.embeds_guidance else SCHNELL_PROMPT_MOST
        parts = self.pipe.components
        if "img2img" in self.kind.modes:
            self._img2img = diffusers.FluxImg2ImgPipeline(**parts)
            self._inpaint = diffusers.FluxInpaintPipeline(**parts)

    def _check_prompts(self, work: Work) -> None:
        pairs = [
            (work.prompt, work.secondary_prompt, PICTURES, f"{OPTIONS}.secondary_prompt"),
            (
                work.negative_prompt,
                work.secondary_negative_prompt,
                f"{OPTIONS}.negative_prompt",
                f"{OPTIONS}.secondary_negative_prompt",
            ),
        ]
        for prompt, secondary, param, secondary_param in pairs:
            if prompt is None:
                continue
            if secondary:  # else CLIP's part is a summary of what T5 reads whole
                _fits(prompt, len(self._clip(prompt)["input_ids"]), self._clip.model_max_length, param)
            read, named = (secondary, secondary_param) if secondary else (prompt, param)
            _fits(read, len(self._t5(read)["input_ids"]), self._prompt_most, named)

    def _prepare(self, work: Work) -> Run:
        rows, scale = self._rows(work)
        config = self.pipe.scheduler.config
        mu = calculate_shift(
            work.width * work.height // TOKEN**2,
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        self._schedule(work, mu)
        started = {"fill": self._filling, "img2img": self._beginning, "inpaint": self._inpainting}
        if work.mode in started:
            return started[work.mode](work, rows, scale)
        if self.kind.references_most:
            return self._editing(work, rows, scale)
        shape = (1, self._channels, work.height, work.width, rows[0].text.tokens.dtype, self.device)
        latents, _ = self.pipe.prepare_latents(*shape, self._noise(work))
        return Run(work, latents, self._sigmas(), rows, grid_of(work), scale)

    @property
    def _channels(self) -> int:
        channels: int = self.pipe.vae.config.latent_channels
        return channels

    def _rows(self, work: Work) -> tuple[tuple[Row, ...], float]:
        """A second row only where a negative prompt is given, and a scale above 1 for it."""
        rows = [Row(self._encoded(work.prompt, work.secondary_prompt))]
        if work.true_cfg_scale <= 1 or work.negative_prompt is None or not self.kind.negative:
            return tuple(rows), 1.0
        rows.append(Row(self._encoded(work.negative_prompt, work.secondary_negative_prompt)))
        return tuple(rows), work.true_cfg_scale

    def _encoded(self, prompt: str, secondary: str | None) -> Text:
        def encode() -> Text:
            tokens, pooled, _ = self.pipe.encode_prompt(
                prompt=prompt, prompt_2=secondary or None, device=self.device, max_sequence_length=self._prompt_most
            )
            return Text(tokens, pooled)

        return self._text((prompt, secondary or None), encode)

    def _editing(self, work: Work, rows: tuple[Row, ...], scale: float) -> Run:
        """As FluxKontextPipeline: the picture is brought to the nearest shape that the model was trained on."""
        picture, grids = None, tuple[tuple[int, int], ...]()
        if work.pictures:
            given = work.pictures[0]
            aspect = given.width / given.height
            _, width, height = min((abs(aspect - w / h), w, h) for w, h in PREFERRED_KONTEXT_RESOLUTIONS)
            width, height = width // TOKEN * TOKEN, height // TOKEN * TOKEN
            processor = self.pipe.image_processor
            picture = processor.preprocess(processor.resize(given, height, width), height, width)
            grids = ((height // TOKEN, width // TOKEN),)
        shape = (1, self._channels, work.height, work.width, rows[0].text.tokens.dtype, self.device)
        latents, references, _, _ = self.pipe.prepare_latents(picture, *shape, self._noise(work))
        return Run(work, latents, self._sigmas(), rows, grid_of(work), scale, references, grids)

    def _beginning(self, work: Work, rows: tuple[Row, ...], scale: float) -> Run:
        """As FluxImg2ImgPipeline."""
        pipe = self._img2img
        size = {"height": work.height, "width": work.width}
        picture = pipe.image_processor.preprocess(work.pictures[0], **size, resize_mode=COVER).float()
        times, left = pipe.get_timesteps(work.steps, work.strength, "cpu")
        shape = (1, self._channels, work.height, work.width, rows[0].text.tokens.dtype, self.device)
        latents, _ = pipe.prepare_latents(picture, times[:1].to(self.device), *shape, self._noise(work))
        return Run(work, latents, self._sigmas(work.steps - left), rows, grid_of(work), scale)

    def _inpainting(self, work: Work, rows: tuple[Row, ...], scale: float) -> Run:
        """As FluxInpaintPipeline: what the mask leaves is put back after each step, as noisy as the rest."""
        pipe, size = self._inpaint, {"height": work.height, "width": work.width}
        picture = pipe.image_processor.preprocess(work.pictures[0], **size, resize_mode=COVER).float()
        times, left = pipe.get_timesteps(work.steps, work.strength, "cpu")
        dtype = rows[0].text.tokens.dtype
        shape = (1, self._channels, work.height, work.width, dtype, self.device)
        latents, noise, start, _ = pipe.prepare_latents(picture, times[:1].to(self.device), *shape, self._noise(work))
        mask = pipe.mask_processor.preprocess(mask_of(work), **size, resize_mode=COVER)
        fine = torch.nn.functional.interpolate(mask, size=(work.height // 8, work.width // 8))
        fine = fine.to(self.device, dtype).repeat(1, self._channels, 1, 1)
        packed = pipe._pack_latents(fine, 1, self._channels, work.height // 8, work.width // 8)
        run = Run(work, latents, self._sigmas(work.steps - left), rows, grid_of(work), scale)
        run.kept = Kept(packed, start, noise)
        return run

    def _filling(self, work: Work, rows: tuple[Row, ...], scale: float) -> Run:
        """As FluxFillPipeline from all noise: each token is shown the masked picture and the mask."""
        pipe, size, noise = self.pipe, {"height": work.height, "width": work.width}, self._noise(work)
        dtype = rows[0].text.tokens.dtype
        picture = pipe.image_processor.preprocess(work.pictures[0], **size, resize_mode=COVER).float()
        shape = (1, self._channels, work.height, work.width, dtype, self.device)
        times = pipe.scheduler.timesteps[:1].to(self.device)
        latents, _ = pipe.prepare_latents(picture, times, *shape, noise)
        mask = pipe.mask_processor.preprocess(mask_of(work), **size, resize_mode=COVER)
        masked = (picture * (1 - mask)).to(self.device, dtype)
        packed, shown = pipe.prepare_mask_latents(
            mask, masked, 1, self._channels, 1, work.height, work.width, dtype, self.device, noise
        )
        channels = torch.cat([shown, packed], dim=-1)
        return Run(work, latents, self._sigmas(), rows, grid_of(work), scale, channels=channels)

    def _positions(self, grid: tuple[int, int], references: tuple[tuple[int, int], ...], text: int) -> Any:
        """Text at no place; tokens by row and column, those of a reference in a plane of their own."""
        places = [torch.zeros(text, 3)]
        for plane, (down, across) in enumerate((grid, *references)):
            axes = (torch.tensor([plane]), torch.arange(down), torch.arange(across))
            places.append(torch.cartesian_prod(*axes).float())
        return self.pipe.transformer.pos_embed(torch.cat(places).to(self.device))

    def _unpack(self, run: Run, latents: Tensor) -> Tensor:
        vae, (down, across) = self.pipe.vae, run.grid
        spread = self.pipe._unpack_latents(latents, down * TOKEN, across * TOKEN, self.pipe.vae_scale_factor)
        return (spread / vae.config.scaling_factor + vae.config.shift_factor).to(vae.dtype)


def _fits(prompt: str, count: int, most: int, param: str) -> None:
    if count > most:
        raise Refused(f"Prompt is too long: {count} tokens; this model reads at most {most}", param)
