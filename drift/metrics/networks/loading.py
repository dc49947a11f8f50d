"""Fills networks with published weights, name by name, or with seeded random ones on request."""

import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor, nn

from drift.errors import UsageError
from drift.metrics.networks.settings import MetricSettings

Network = TypeVar("Network", bound=nn.Module)


def load_network(
    build: Callable[[], Network],
    read: Callable[[], Mapping[str, Tensor]],
    settings: MetricSettings,
    name: str,
) -> Network:
    """Builds a network for inference.

    Args:
        build: Creates the module.
        read: Reads the published weights; not called for random ones.
        settings: Device, and whether weights are random.
        name: Name for errors; also the seed of random weights.

    Returns:
        The network on its device, float32, without gradients.

    Raises:
        UsageError: a tensor of the checkpoint is missing, is unknown or has another shape.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(name.encode()))
        network = build()
    if not settings.random_weights:
        load_strict(network, read(), name)
    return network.eval().requires_grad_(False).to(device_of(settings))


def load_strict(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Copies a checkpoint into a network; each must have exactly the tensors of the other.

    Raises:
        UsageError: some tensors do not fit; names the first ones.
    """
    wanted = network.state_dict()
    shapes = {
        f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in wanted.keys() & state.keys()
        if wanted[key].shape != state[key].shape
    }
    problems = {
        "missing": wanted.keys() - state.keys(),
        "unknown": state.keys() - wanted.keys(),
        "of another shape": shapes,
    }
    words = [
        f"{len(found)} {kind} ({', '.join(sorted(found)[:3])}{', ...' if len(found) > 3 else ''})"
        for kind, found in problems.items()
        if found
    ]
    if words:
        raise UsageError(
            f"the weights of {name} do not fit: {'; '.join(words)}; "
            "`drift weights verify` checks the files"
        )
    network.load_state_dict(dict(state))


def device_of(settings: MetricSettings) -> torch.device:
    """The device, after a check that it exists.

    Raises:
        UsageError: the device does not exist.
    """
    device = torch.device(settings.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device is {settings.device} but torch sees no GPU; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device is {settings.device} but there are {torch.cuda.device_count()} GPUs"
        )
    return device


def has_matrix_units(settings: MetricSettings) -> bool:
    """Whether bfloat16 is faster than float32: on a GPU that supports it, or a CPU with AMX."""
    if settings.device_kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def precision(settings: MetricSettings, *, tolerates_bfloat16: bool) -> torch.dtype:
    """Precision of a metric's large matrix products.

    Args:
        settings: Requested precision; `auto` takes bfloat16 where it is faster.
        tolerates_bfloat16: Whether the metric's values stay within 0.5 % (docs/metrics.md).
    """
    wanted = settings.dtype == "bfloat16" or (
        settings.dtype == "auto" and has_matrix_units(settings)
    )
    return torch.bfloat16 if wanted and tolerates_bfloat16 else torch.float32


def reduced(settings: MetricSettings, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Runs matrix products in `dtype`; norms and softmax stay in float32."""
    context: AbstractContextManager[None] = torch.autocast(
        settings.device_kind, dtype=dtype, enabled=dtype != torch.float32
    )
    return context
