"""Load a transformer from any layout its weights are published in, strictly.

Layouts: Wan release safetensors (one file or a folder of shards), `.pt` files of the distilled
family ({"generator": ...} or {"generator_ema": ...} with a `model.` prefix and the prefixes that
FSDP, activation checkpointing and torch.compile leave), and diffusers' `WanTransformer3DModel`.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hiar.config import WanConfig
from hiar.errors import UsageError
from hiar.transformer import CausalWan

StateDict = Mapping[str, torch.Tensor]
WRAPPER_PREFIXES = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
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
    key: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> CausalWan:
    """Build a transformer and load its weights.

    Args:
        path_or_state_dict: A `.safetensors` or `.pt` file, a folder of shards, or a state dict.
        config: Sizes; the weights must fit them exactly.
        key: Which entry of a `.pt` file of several state dicts; None prefers `generator_ema`.
        device, dtype: Of the loaded model.

    Returns:
        The model in eval mode.

    Raises:
        UsageError: For a missing file, or a missing, extra or misshapen tensor, named.
    """
    if isinstance(path_or_state_dict, (str, Path)):
        source = str(path_or_state_dict)
        raw = read_tensors(Path(path_or_state_dict))
    else:
        source, raw = "the state dict", dict(path_or_state_dict)
    tensors = {canonical_name(name): value for name, value in select(raw, key, source).items()}
    if any(name.startswith("condition_embedder.") for name in tensors):
        tensors = {from_diffusers(name): value for name, value in tensors.items()}
    with torch.device("meta"):
        model = CausalWan(config)
    check_fit(model.state_dict(), tensors, source)
    owned = isinstance(path_or_state_dict, Mapping)  # a caller's tensors must not be shared
    placed = {
        name: value.to(device=device, dtype=dtype, copy=owned) for name, value in tensors.items()
    }
    model.load_state_dict(placed, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a file or a folder of shards; nothing in it is executed."""
    if not path.exists():
        raise UsageError(f"no weights at {path}: give a .safetensors or .pt file, or their folder")
    if path.is_dir():
        index = next(iter(sorted(path.glob("*.safetensors.index.json"))), None)
        if index is not None:
            names = shard_names(index)
            shards = [path / name for name in names]
        else:
            shards = sorted(path.glob("*.safetensors"))
        if not shards:
            raise UsageError(f"the folder {path} holds no .safetensors file")
        missing = [shard.name for shard in shards if not shard.exists()]
        if missing:
            raise UsageError(f"{path} lacks {', '.join(missing)}, which its index names")
        return {name: value for shard in shards for name, value in read_file(shard).items()}
    return read_file(path)


def shard_names(index: Path) -> list[str]:
    """The shards that an index names."""
    try:
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{index} is no index of shards: fetch it again") from None


def read_file(path: Path) -> dict[str, Any]:
    """Read one weights file.

    Raises:
        UsageError: If its suffix is unknown, it is damaged, or it holds no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix in PICKLE_SUFFIXES:
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        else:
            suffix = path.suffix
            raise UsageError(f"{path} has suffix {suffix!r}: weights are .safetensors or .pt files")
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{path} is damaged or no weights file ({reason}): fetch it again"
        ) from error
    if not isinstance(loaded, Mapping):
        raise UsageError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    return dict(loaded)


def select(raw: Mapping[str, Any], key: str | None, source: str) -> StateDict:
    """The state dict inside a file that may hold several."""
    if key is not None:
        if key not in raw:
            raise UsageError(f"{source} has no entry {key!r}: it has {', '.join(sorted(raw))}")
        if not isinstance(raw[key], Mapping):
            raise UsageError(f"entry {key!r} of {source} is no state dict but a single value")
        return dict(raw[key])
    for candidate in CONTAINER_KEYS:
        if isinstance(raw.get(candidate), Mapping):
            return dict(raw[candidate])
    return raw


def canonical_name(name: str) -> str:
    """A tensor's name without what wrappers added to it."""
    for prefix in WRAPPER_PREFIXES:
        name = name.replace(prefix, "")
    return name.removeprefix("module.").removeprefix("model.")


def from_diffusers(name: str) -> str:
    """The Wan release's name of a diffusers tensor."""
    for pattern, replacement in DIFFUSERS_RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def check_fit(expected: StateDict, found: Mapping[str, Any], source: str) -> None:
    """Raise unless names and shapes agree, naming the first few that do not."""
    problems = [f"missing {name}" for name in expected if name not in found]
    problems += [f"unknown {name}" for name in found if name not in expected]
    for name, tensor in expected.items():
        value = found.get(name, tensor)
        if not isinstance(value, torch.Tensor):
            problems.append(f"{name} is a {type(value).__name__}, not a tensor")
        elif value.shape != tensor.shape:
            problems.append(f"{name} is {tuple(value.shape)}, not {tuple(tensor.shape)}")
    if problems:
        shown = "; ".join(problems[:5])
        rest = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UsageError(f"{source} does not fit the configuration: {shown}{rest}")
