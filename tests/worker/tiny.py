"""FLUX pipelines with tiny random weights, made without a network in a few seconds each.

Their folders hold what the real checkpoints' do and load by the same `from_pretrained`: the real classes, channels and
schedulers, with a few narrow layers. What they paint is coloured noise, the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HEADS, WIDTH = 4, 16
CORPUS = (
    "a serene mountain landscape at sunset with a red cat holding a sign that says hello world",
    "The quick brown fox jumps over the lazy dog 0123456789 .,;:!?'\"-()[]{}<>|/\\@#$%&*+=_~`^",
)
QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}[SYSTEM_PROMPT]"
    "{% for b in m['content'] %}{{ b['text'] }}{% endfor %}[/SYSTEM_PROMPT]{% else %}[INST]"
    "{% for b in m['content'] %}{% if b['type'] == 'text' %}{{ b['text'] }}{% else %}[IMG]{% endif %}{% endfor %}"
    "[/INST]{% endif %}{% endfor %}"
)
MISTRAL_SPECIAL = (
    "<pad>", "<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[IMG_BREAK]",
    "[IMG_END]",
)  # fmt: skip


def _byte_pairs(special: tuple[str, ...]) -> Any:
    """A tokenizer that reads any Unicode: all 256 bytes are in its alphabet."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), show_progress=False, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _clip_tokenizer() -> Any:
    begin, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = _byte_pairs((begin, end))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, 0), (end, 1)]
    )
    return transformers.CLIPTokenizer(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=end, pad_token=end, unk_token=end, model_max_length=77
    )


def _t5_tokenizer() -> Any:
    letters = [(chr(code), -4.0) for code in range(33, 127)]
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *letters]
    tokenizer = Tokenizer(models.Unigram(words, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return transformers.T5TokenizerFast(
        tokenizer_object=tokenizer,
        extra_ids=0,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        model_max_length=512,
    )


def _scheduler() -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(
        shift=3.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=4096,
    )


def _vae() -> Any:
    return diffusers.AutoencoderKL(
        sample_size=64,
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def _clip(words: int) -> Any:
    return transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=words,
            hidden_size=32,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
            projection_dim=32,
            max_position_embeddings=77,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )


def _flux1(pipeline: str = "FluxPipeline", *, guided: bool = True, channels: int = 64) -> Any:
    torch.manual_seed(0)
    clip, t5 = _clip_tokenizer(), _t5_tokenizer()
    return getattr(diffusers, pipeline)(
        scheduler=_scheduler() if guided else diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=_vae(),
        text_encoder=_clip(len(clip)),
        tokenizer=clip,
        text_encoder_2=transformers.T5EncoderModel(
            transformers.T5Config(
                vocab_size=len(t5),
                d_model=32,
                d_ff=37,
                d_kv=8,
                num_heads=4,
                num_layers=2,
                feed_forward_proj="gated-gelu",
                tie_word_embeddings=False,
            )
        ),
        tokenizer_2=t5,
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=channels,
            out_channels=64,
            num_layers=2,
            num_single_layers=4,
            attention_head_dim=WIDTH,
            num_attention_heads=HEADS,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            guidance_embeds=guided,
            axes_dims_rope=(4, 4, 8),
        ),
    )


def _flux2_parts(*, guided: bool) -> dict[str, Any]:
    return {
        "scheduler": _scheduler(),
        "vae": diffusers.AutoencoderKLFlux2(
            sample_size=64, block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=32, norm_num_groups=4
        ),
        # Three layers of the text encoder are tapped, each 16 wide.
        "transformer": diffusers.Flux2Transformer2DModel(
            patch_size=1,
            in_channels=128,
            num_layers=2,
            num_single_layers=4,
            attention_head_dim=WIDTH,
            num_attention_heads=HEADS,
            joint_attention_dim=3 * 16,
            timestep_guidance_channels=256,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=guided,
        ),
    }


def _klein(pipeline: str = "Flux2KleinPipeline", *, distilled: bool = True) -> Any:
    torch.manual_seed(0)
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer = transformers.Qwen2TokenizerFast(
        tokenizer_object=_byte_pairs(special),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        chat_template=QWEN_TEMPLATE,
        model_max_length=2048,
    )
    encoder = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=28,  # layers 9, 18 and 27 are tapped
            head_dim=8,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        )
    )
    parts = _flux2_parts(guided=False)
    return getattr(diffusers, pipeline)(text_encoder=encoder, tokenizer=tokenizer, is_distilled=distilled, **parts)


def _flux2() -> Any:
    torch.manual_seed(0)
    # The real checkpoint's processor also reads pictures, and needs torchvision; of it only the template is used.
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_byte_pairs(MISTRAL_SPECIAL),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=8192,
    )
    tokenizer.chat_template = MISTRAL_TEMPLATE
    text = transformers.MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=31,  # layers 10, 20 and 30 are tapped
        head_dim=8,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8192,
    )
    vision = transformers.PixtralVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=8, image_size=56,
        patch_size=14,
    )  # fmt: skip
    encoder = transformers.Mistral3ForConditionalGeneration(
        transformers.Mistral3Config(
            text_config=text.to_dict() | {"model_type": "mistral"},
            vision_config=vision.to_dict() | {"model_type": "pixtral"},
            image_token_index=7,
            spatial_merge_size=2,
        )
    )
    return diffusers.Flux2Pipeline(text_encoder=encoder, tokenizer=tokenizer, **_flux2_parts(guided=True))


KINDS: dict[str, Callable[[], Any]] = {
    "flux1-dev": _flux1,
    "flux1-schnell": lambda: _flux1(guided=False),
    "flux1-kontext": lambda: _flux1("FluxKontextPipeline"),
    "flux1-fill": lambda: _flux1("FluxFillPipeline", channels=384),
    "klein": _klein,
    "klein-base": lambda: _klein(distilled=False),
    "klein-kv": lambda: _klein("Flux2KleinKVPipeline"),
    "flux2-dev": _flux2,
}
"""Each family, by the name that the worker gives it."""


def build(kind: str, folder: Path) -> None:
    """Write the pipeline of this kind to a folder, as a checkpoint lies there."""
    KINDS[kind]().save_pretrained(folder)
