"""Load a transformer from any layout its weights are published in, strictly.

Layouts: Wan release safetensors (one file or a folder of shards), `.pt` files of the distilled
family ({"generator": ...} or {"generator_ema": ...} with a `model.` prefix and the prefixes that
FSDP, activation checkpointing and torch.compile leave), and diffusers' `WanTransformer3DModel`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.transformer import CausalWan
from hiar.weights.checkpoint_fit import check_finite, check_fit
from hiar.weights.local import require
from hiar.weights.lora import merge_lora
from hiar.weights.releases import find_release
from hiar.weights.tensor_files import read_tensors

StateDict = Mapping[str, torch.Tensor]
WRAPPER_PREFIXES = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
# Outermost first: PEFT, distributed training, the wrapper of the distilled family, ComfyUI.
LEADING_PREFIXES = ("base_model.model.", "module.", "model.", "diffusion_model.")
LORA_KEYS = ("generator_lora", "state_dict")
CONTAINER_KEYS = ("generator_ema", "generator", "state_dict", "model")

# diffusers' names against Wan's (diffusers 0.42, loaders/single_file_utils.py,
# convert_wan_transformer_to_diffusers); norm2 and norm3 trade places.
DIFFUSERS_RENAMES = (
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^scale_shift_table$", "head.modulation"),
    (r"^proj_out\.", "head.head."),
    (r"\.scale_shift_table$", ".modulation"),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".o."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
    (r"\.ffn\.net\.2\.", ".ffn.2."),
    (r"\.norm2\.(?=weight|bias)", ".norm3."),
)


def load_transformer(
    path_or_state_dict: str | Path | Mapping[str, Any],
    config: WanConfig,
    *,
    key: str | Sequence[str] | None = None,
    lora: str | Path | Mapping[str, Any] | None = None,
    lora_alpha: float | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> CausalWan:
    """Build a transformer and load its weights.

    Args:
        path_or_state_dict: A `.safetensors` or `.pt` file, a folder of shards, or a state dict.
        config: Sizes; the weights must fit them exactly.
        key: Which entry of a `.pt` file of several state dicts; of a sequence, the first that is
            there. None prefers `generator_ema`.
        lora: A LoRA in PEFT's layout to merge, as a file or a state dict.
        lora_alpha: Numerator of its scale alpha / rank; None is a scale of 1.
        device, dtype: Device and dtype of the loaded model.

    Returns:
        The model in eval mode.

    Raises:
        UsageError: For a missing, damaged or refused file; a missing, extra or misshapen tensor,
            named; NaN or infinite weights, or weights beyond the range of `dtype`, named.
    """
    source, tensors = load_tensors(path_or_state_dict, key)
    if lora is not None:
        tensors = merge_lora(tensors, load_tensors(lora, LORA_KEYS)[1], lora_alpha)
    with torch.device("meta"):
        model = CausalWan(config)
    check_fit(model.state_dict(), tensors, source, config)
    owned = isinstance(path_or_state_dict, Mapping)  # a caller's tensors must not be shared
    placed = {}
    for name in list(tensors):
        value = tensors.pop(name)  # so that the original and the cast copy never all coexist
        placed[name] = value.to(device=device, dtype=dtype, copy=owned)
        check_finite(name, value, placed[name], source)
    model.load_state_dict(placed, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def load_release(
    key: str,
    folder: Path | None = None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> CausalWan:
    """Load the transformer of a release by its rules.

    Args:
        key: Name of the release, such as "hiar".
        folder: Weights folder; None is that of the environment.
        device, dtype: Device and dtype of the loaded model.

    Raises:
        UsageError: If its weights are not there or do not fit.
    """
    release = find_release(key)
    return load_transformer(
        require(release.part, folder),
        release.config,
        key=release.state_dict_keys or None,
        lora=None if release.lora_part is None else require(release.lora_part, folder),
        lora_alpha=release.lora_alpha,
        device=device,
        dtype=dtype,
    )


def load_tensors(
    path_or_state_dict: str | Path | Mapping[str, Any], key: str | Sequence[str] | None
) -> tuple[str, dict[str, torch.Tensor]]:
    """What the weights are called in messages, and the tensors under the Wan release's names."""
    if isinstance(path_or_state_dict, (str, Path)):
        source = str(path_or_state_dict)
        raw = read_tensors(Path(path_or_state_dict))
    else:
        source, raw = "the state dict", dict(path_or_state_dict)
    tensors: dict[str, torch.Tensor] = {}
    selected = select(raw, key, source)
    from_diffusers = any("condition_embedder." in name for name in selected)
    for name, value in selected.items():
        canonical = canonical_name(name)
        if from_diffusers:
            canonical = diffusers_to_wan(canonical)
        if canonical in tensors:
            raise UsageError(f"{source} holds {canonical} twice: two models in one file?")
        tensors[canonical] = value
    return source, tensors


def select(raw: Mapping[str, Any], key: str | Sequence[str] | None, source: str) -> StateDict:
    """The state dict inside a file that may hold several.

    Args:
        raw: Content of the file.
        key: An entry that must be there; or entries in order of preference, where a file that
            is itself a state dict is taken as it is; None is `CONTAINER_KEYS`.
        source: Name of the file, for messages.
    """
    wanted = (key,) if isinstance(key, str) else key or CONTAINER_KEYS
    for candidate in wanted:
        if isinstance(raw.get(candidate), Mapping):
            return dict(raw[candidate])
    if isinstance(key, str) and key in raw:
        raise UsageError(f"entry {key!r} of {source} is no state dict but a single value")
    containers = sorted(name for name, value in raw.items() if isinstance(value, Mapping))
    if isinstance(key, str) or (key is not None and containers):
        names = " or ".join(repr(name) for name in wanted)
        raise UsageError(f"{source} has no entry {names}: it has {shorten(sorted(raw))}")
    return raw


def shorten(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and how many more there are."""
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


def canonical_name(name: str) -> str:
    """A tensor's name without what wrappers added to it."""
    for prefix in WRAPPER_PREFIXES:
        name = name.replace(prefix, "")
    for prefix in LEADING_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def diffusers_to_wan(name: str) -> str:
    """The Wan release's name of a diffusers tensor."""
    for pattern, replacement in DIFFUSERS_RENAMES:
        name = re.sub(pattern, replacement, name)
    return name
