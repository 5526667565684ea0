"""From a folder of weights to a family on its device, as the options say."""

from __future__ import annotations

import logging
import os
from typing import Any

import diffusers
import torch
import transformers
from diffusers.hooks import HookRegistry

from providers.flux_worker.worker.caching import FirstBlocks
from providers.flux_worker.worker.embeddings import Embeddings
from providers.flux_worker.worker.families import load_family
from providers.flux_worker.worker.families.family import Family
from providers.flux_worker.worker.folders import Folder, FolderError
from providers.flux_worker.worker.options import MIB, OptionError, Options

log = logging.getLogger("imagegate.worker")

ENCODERS = ("text_encoder", "text_encoder_2")

GRAPHS_MOST = 64
"""Compiled forms of one kind of block. Batches of one and of several, each size until torch takes it for variable, and
texts of two lengths are each one; beyond the limit, which is 8 otherwise, torch refuses to run at all."""

DRIVER = "/dev/nvidiactl"
"""There where a GPU's driver is."""


def load_weights(folder: Folder, options: Options) -> Family:
    """Read the folder and put it where it shall be. Raises FolderError where the files are not what they say, and
    OptionError where this machine cannot do what is asked."""
    device = _device(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.compile and folder.kind.architecture == "flux2-kv":
        raise OptionError(f"compile is not for {folder.kind.family}: its attention keeps state")
    dtype = _dtype(options, device)
    pipe = _read(folder, dtype, _quantisation(options, device, dtype))
    pipe.set_progress_bar_config(disable=True)
    if options.offload:
        _offload(pipe, device)
    else:
        pipe.to(device)
    if options.attention is not None:
        _set_attention(pipe, options.attention)
    for part in (pipe.transformer, pipe.vae, *_encoders(pipe)):
        part.eval().requires_grad_(False)
    if options.compile:
        pipe.transformer.compile_repeated_blocks(fullgraph=True)
    embeddings, cache = Embeddings(options.embeddings_mib * MIB), FirstBlocks(options.fast_threshold)
    return load_family(pipe, folder.kind, device, embeddings, cache)


def settle_thread(options: Options, device: Any) -> None:
    """What torch keeps for each thread by itself, for the one that takes the steps."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    if options.compile:
        torch._dynamo.config.recompile_limit = GRAPHS_MOST
        if options.quantisation != "none":
            from torchao.quantization.utils import recommended_inductor_config_setter

            recommended_inductor_config_setter()


def _device(options: Options) -> str:
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.device is None and device == "cpu" and os.path.exists(DRIVER):
        log.warning("this machine has a GPU, and torch %s cannot use it: work is done on the CPU", torch.__version__)
    try:
        kind = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device is {device!r}; it must be cuda, cuda:N or cpu") from error
    if kind.type not in ("cuda", "cpu"):
        raise OptionError(f"device is {device!r}; it must be cuda, cuda:N or cpu")
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise OptionError(f"device is {device!r}, and torch sees {count} GPUs here")
    return device


def _dtype(options: Options, device: str) -> Any:
    return getattr(torch, options.dtype or ("bfloat16" if device.startswith("cuda") else "float32"))


def _quantisation(options: Options, device: str, dtype: Any) -> Any:
    if options.quantisation == "none":
        return None
    if not device.startswith("cuda") or torch.cuda.get_device_capability(device) < (8, 9):
        raise OptionError("quantisation float8 needs a GPU of compute capability 8.9 or above (Ada, Hopper, Blackwell)")
    if dtype is not torch.bfloat16:
        raise OptionError(f"quantisation float8 needs dtype bfloat16, not {options.dtype}")
    try:
        how = diffusers.TorchAoConfig(float8())
    except ImportError as error:
        raise OptionError("quantisation float8 needs the package torchao, which is not installed") from error
    return diffusers.PipelineQuantizationConfig(quant_mapping={"transformer": how})


def float8() -> Any:
    """torchao's configuration: a scale for each token and each row. With one for a whole batch, a picture would depend
    on those beside it."""
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow

    return Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())


def _read(folder: Folder, dtype: Any, quantised: Any) -> Any:
    given: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    if quantised is not None:
        given["quantization_config"] = quantised
    # FLUX.2-dev's processor also reads pictures, and needs torchvision for it; of it only the tokenizer is used.
    plain = folder.kind.family == "FLUX.2-dev" and not transformers.utils.is_torchvision_available()
    if plain:
        given["tokenizer"] = None
    try:
        pipe = diffusers.DiffusionPipeline.from_pretrained(folder.path, **given)
        if plain:
            path = folder.path / "tokenizer"
            pipe.register_modules(tokenizer=transformers.AutoTokenizer.from_pretrained(path, local_files_only=True))
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # of any of four libraries, each of which has its own for files that do not fit
        said = " ".join(str(error).split()) or type(error).__name__
        raise FolderError(f"{folder.path} could not be loaded: {said}") from error
    _check_whole(folder, pipe)
    return pipe


def _check_whole(folder: Folder, pipe: Any) -> None:
    """The libraries leave what the files lack without a value, or say so in the log alone."""
    for part in ("transformer", "vae", *ENCODERS):
        module = getattr(pipe, part, None)
        lacking = [] if module is None else [name for name, value in module.named_parameters() if value.is_meta]
        if lacking:
            raise FolderError(f"{folder.path / part} lacks {len(lacking)} of its weights, among them {lacking[0]}")
    if folder.kind.architecture != "flux1" and not pipe.tokenizer.chat_template:
        raise FolderError(f"{folder.path / 'tokenizer'} lacks its chat template, which every prompt is put into")


def _encoders(pipe: Any) -> list[Any]:
    return [getattr(pipe, name) for name in ENCODERS if getattr(pipe, name, None) is not None]


def _offload(pipe: Any, device: str) -> None:
    """Leaf by leaf, as nothing but leaves is called where we take the steps ourselves; the VAE is small and stays."""
    onto = torch.device(device)
    for part in (pipe.transformer, *_encoders(pipe)):
        diffusers.hooks.apply_group_offloading(
            part, onload_device=onto, offload_device=torch.device("cpu"), offload_type="leaf_level",
            use_stream=onto.type == "cuda",
        )  # fmt: skip
    untrace(pipe.transformer)
    pipe.vae.to(onto)


def untrace(module: Any) -> None:
    """Take the hooks away by which diffusers notes the order of all calls until the first whole pass ends, to fetch
    leaves ahead: where blocks are called one by one no pass ever ends, and the notes grow with each step."""
    for part in module.modules():
        if hasattr(part, "_diffusers_hook"):
            registry = HookRegistry.check_if_exists_or_initialize(part)
            for name in ("layer_execution_tracker", "lazy_prefetch_group_offloading"):
                if registry.get_hook(name) is not None:
                    registry.remove_hook(name, recurse=False)


def _set_attention(pipe: Any, backend: str) -> None:
    try:
        pipe.transformer.set_attention_backend(backend)
    except Exception as error:  # of diffusers, of a kernel's package, or of the hub that some are fetched from
        said = " ".join(str(error).split())
        raise OptionError(f"attention is {backend!r}, which cannot be used here: {said}") from error
