"""Whether the tensors of a file are the weights of a model, and what they are if not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hiar.errors import UsageError
from hiar.model.config import WanConfig

PRESETS = ("wan_1_3b", "wan_14b", "bench_cpu", "tiny")


def check_fit(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, Any], source: str, config: WanConfig
) -> None:
    """Raise unless names and shapes agree, naming the size that would fit, or the first faults.

    Args:
        expected: State dict of a model of `config`.
        found: What the file holds.
        source: Name of the file, for messages.
        config: Sizes that were asked for.
    """
    faults = find_faults(expected, found)
    if not faults:
        return
    other = recognise(found, config)
    raise UsageError(f"{source} does not fit the configuration: {other or join_faults(faults)}")


def find_faults(expected: Mapping[str, torch.Tensor], found: Mapping[str, Any]) -> list[str]:
    """Every tensor that is missing, unknown, misshapen or of no floating-point dtype."""
    faults = [f"missing {name}" for name in expected if name not in found]
    faults += [f"unknown {name}" for name in found if name not in expected]
    for name, tensor in expected.items():
        value = found.get(name, tensor)
        if not isinstance(value, torch.Tensor):
            faults.append(f"{name} is a {type(value).__name__}, not a tensor")
        elif value.shape != tensor.shape:
            faults.append(f"{name} is {tuple(value.shape)}, not {tuple(tensor.shape)}")
        elif not value.is_floating_point():
            faults.append(f"{name} is {value.dtype}: quantised weights are not supported")
    return faults


def join_faults(faults: list[str], limit: int = 5) -> str:
    """The first few, and how many more there are."""
    rest = f"; and {len(faults) - limit} more" if len(faults) > limit else ""
    return "; ".join(faults[:limit]) + rest


def recognise(found: Mapping[str, Any], config: WanConfig) -> str | None:
    """What model weights are of, if they are whole but of other sizes than `config`.

    Heads leave no trace in the shapes; Wan's are 128 wide.
    """
    try:
        layers = {int(name.split(".")[1]) for name in found if name.startswith("blocks.")}
        dim, in_channels = found["patch_embedding.weight"].shape[:2]
        sizes = {
            "dim": dim,
            "ffn_dim": found["blocks.0.ffn.0.weight"].shape[0],
            "num_layers": max(layers) + 1,
            "freq_dim": found["time_embedding.0.weight"].shape[1],
            "text_dim": found["text_embedding.0.weight"].shape[1],
            "in_channels": in_channels,
        }
    except (KeyError, ValueError, AttributeError, IndexError):
        return None
    other = [name for name, size in sizes.items() if size != getattr(config, name)]
    if not other:
        return None
    shown = ", ".join(f"{name} {sizes[name]}, not {getattr(config, name)}" for name in other)
    for name in PRESETS:
        preset = getattr(WanConfig, name)()
        if all(getattr(preset, field) == size for field, size in sizes.items()):
            return f"it has {shown}; WanConfig.{name}() would fit"
    if in_channels > config.in_channels:
        return f"it has {shown}: an image-to-video model, whose extra channels are not supported"
    given = ", ".join(f"{name}={size}" for name, size in sizes.items())
    return f"it has {shown}; WanConfig({given}, num_heads=...) would fit"


def check_finite(name: str, original: torch.Tensor, cast: torch.Tensor, source: str) -> None:
    """Raise if a weight is NaN or infinite, or became so by its change of dtype."""
    if cast.numel() == 0 or bool(torch.stack(cast.aminmax()).isfinite().all()):
        return
    if not bool(torch.stack(original.float().aminmax()).isfinite().all()):
        raise UsageError(
            f"{name} of {source} holds NaN or infinite values: the file is damaged, fetch it again"
        )
    largest = original.float().abs().max().item()
    dtype = str(cast.dtype).removeprefix("torch.")
    raise UsageError(
        f"{name} of {source} holds {largest:.4g}, beyond {dtype}'s largest, "
        f"{torch.finfo(cast.dtype).max:.4g}: load it in bfloat16 or float32"
    )
