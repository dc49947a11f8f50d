"""The memory a training run needs in each process, from shapes alone: networks on the meta device.

Symbols: P parameters of a network; N processes; c bytes of the computation's dtype; D = dim and
F = ffn_dim; Y layers; B videos in memory at once; T tokens of a video, n its blocks; L text tokens.
Each term is one field of `NetworkMemory`, computed on the line of `_network` with its name:

    weights       4 P / N if trained, c P / N if frozen (divided only if N > 1 or c < 4)
    gathered      c (root + 2 largest layers), for a sharded network
    gradients     4 P / N           if trained
    optimiser     8 P / N           if trained: AdamW's two moments
    average       4 P / N           EMA of the product, if there is one
    activations   c B x `_kept_elements`:
                    T (20 D + 2 F)                 frozen: one layer
                    T D Y + T (20 D + 2 F)         trained with activation checkpoints: the inputs
                                                   of all layers, and one layer computed again
                    T Y (20 D + 2 F + D (n + 1))   trained without; the keys and values before a
                                                   block are joined anew for each of the n blocks
    caches        3 x c B x `_cache_elements`, 2 T D Y: a rollout's caches
    text          2 c B L D Y       keys and values of cross-attention, in each network

Activations are an estimate: 20 D + 2 F (`KEPT_DIMS`, `KEPT_FFNS`) counts the inputs that autograd
keeps of one layer (norms, modulation, q, k, v, rotated q and k, two attentions, four projections,
feed-forward).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks, token_grid
from hiar.model.transformer import CausalWan
from hiar.runtime.progress import counted
from hiar.training.run.networks import size_config, video_format
from hiar.training.run.sharding import is_sharded

if TYPE_CHECKING:
    from hiar.model.config import WanConfig
    from hiar.training.run.settings import TrainConfig

GIB = 2**30
MASTER_BYTES = 4
"""Weights that are trained, their gradients and their EMA are float32."""
MOMENTS_BYTES = 2 * MASTER_BYTES
"""AdamW keeps two float32 moments of each weight."""
KEPT_DIMS, KEPT_FFNS = 20, 2
"""Inputs that autograd keeps of one layer for each token, in units of dim and of ffn_dim."""
KEYS_AND_VALUES = 2
GATHERED_LAYERS = 2
"""FSDP2 gathers the next layer while one runs."""
ROLLOUT_CACHES = 3
"""The cache of the steps before the exit; at the exit, denoised and context keys and values."""
RUNTIME_BYTES = int(1.0 * GIB)
"""CUDA context and libraries, or the interpreter with torch: measured at 0.6 to 1 GiB."""


@dataclass(frozen=True, kw_only=True)
class NetworkMemory:
    """Bytes of one network in one process; the module's docstring has the formula of each field."""

    role: str
    size: str
    trained: bool
    parameters: int
    weights: int
    gathered: int
    gradients: int
    optimiser: int
    average: int
    activations: int
    caches: int
    text: int

    @property
    def held(self) -> int:
        """Bytes held during the whole run."""
        return self.weights + self.gradients + self.optimiser + self.average + self.gathered

    @property
    def at_work(self) -> int:
        """Further bytes while the network runs."""
        return self.activations + self.caches + self.text


@cache
def count_parameters(config: WanConfig) -> tuple[int, int, int]:
    """Parameters of a network: all, of one layer, and of what lies outside the layers."""
    with torch.device("meta"):
        model = CausalWan(config)
    total = sum(parameter.numel() for parameter in model.parameters())
    layer = sum(parameter.numel() for parameter in model.blocks[0].parameters())
    return total, layer, total - layer * config.num_layers


def memory_plan(config: TrainConfig, num_ranks: int) -> dict[str, Any]:
    """Bytes of each network in each process, as a record.

    Args:
        config: Settings of the run.
        num_ranks: Processes that the networks are sharded over.

    Returns:
        {"schema", "world_size", "dtype", "micro_batch", "latent_frames", "tokens", "networks":
        [...], "runtime_bytes", "total_bytes"}. The total is what all networks hold, plus the most
        that one of them needs while it runs, since they run in turn.
    """
    networks = [
        _network(config, num_ranks, role, size, trained) for role, size, trained in roles(config)
    ]
    held = sum(network.held for network in networks)
    busiest = max(network.at_work for network in networks)
    return {
        "schema": "hiar-memory-plan/1",
        "stage": config.stage,
        "world_size": num_ranks,
        "dtype": config.dtype,
        "checkpoint_activations": config.checkpoint_activations,
        "micro_batch": micro_batch(config, num_ranks),
        "latent_frames": config.latent_frames,
        "tokens": _tokens(config, size_config(config.size)),
        "networks": [asdict(network) for network in networks],
        "runtime_bytes": RUNTIME_BYTES,
        "total_bytes": held + busiest + RUNTIME_BYTES,
    }


def roles(config: TrainConfig) -> list[tuple[str, str, bool]]:
    """The networks of a stage: role, size and whether it is trained."""
    if config.stage != "distill":
        return [("student" if config.stage == "ode-init" else "model", config.size, True)]
    teacher = config.teacher_size or config.size
    return [
        ("student", config.size, True),
        ("critic", config.size, True),
        ("teacher", teacher, False),
    ]


def micro_batch(config: TrainConfig, num_ranks: int) -> int:
    """Videos that a process holds at once."""
    share = max(1, config.batch_size // num_ranks)
    return min(share, getattr(config.stage_config, "micro_batch", None) or share)


def _tokens(config: TrainConfig, sizes: WanConfig) -> int:
    _, height, width = video_format(config.size).latent_shape()
    rows, columns = token_grid(height, width, sizes.patch_size)
    return config.latent_frames * rows * columns


def _network(
    config: TrainConfig, num_ranks: int, role: str, size: str, trained: bool
) -> NetworkMemory:
    sizes = size_config(size)
    total, layer, root = count_parameters(sizes)
    dtype = getattr(torch, config.dtype)
    width: int = dtype.itemsize
    cut = is_sharded(dtype, num_ranks)
    share = -(-total // num_ranks)
    videos = micro_batch(config, num_ranks)
    rolls_out = config.stage == "distill" and role == "student"
    has_average = role in ("model", "student") and _ema(config) > 0
    return NetworkMemory(
        role=role, size=size, trained=trained, parameters=total,
        weights=share * (MASTER_BYTES if trained else width),
        gathered=width * (root + GATHERED_LAYERS * layer) if cut else 0,
        gradients=MASTER_BYTES * share if trained else 0,
        optimiser=MOMENTS_BYTES * share if trained else 0,
        average=MASTER_BYTES * share if has_average else 0,
        activations=width * videos * _kept_elements(config, sizes, trained),
        caches=ROLLOUT_CACHES * _cache_elements(config, sizes) * width * videos if rolls_out else 0,
        text=KEYS_AND_VALUES * width * videos * sizes.text_len * sizes.dim * sizes.num_layers,
    )  # fmt: skip


def _kept_elements(config: TrainConfig, sizes: WanConfig, trained: bool) -> int:
    """Activations of one video while a network runs, and for its backward pass if trained."""
    tokens = _tokens(config, sizes)
    blocks = num_blocks(config.latent_frames, config.frames_per_block)
    one_layer = KEPT_DIMS * sizes.dim + KEPT_FFNS * sizes.ffn_dim
    if not trained:
        return tokens * one_layer
    if config.checkpoint_activations:
        return tokens * sizes.dim * sizes.num_layers + tokens * one_layer
    joined = sizes.dim * (blocks + 1)
    return tokens * sizes.num_layers * (one_layer + joined)


def _cache_elements(config: TrainConfig, sizes: WanConfig) -> int:
    """Keys and values of one video in every layer."""
    return KEYS_AND_VALUES * _tokens(config, sizes) * sizes.dim * sizes.num_layers


def _ema(config: TrainConfig) -> float:
    return float(getattr(config.stage_config, "ema_decay", 0.0) or 0.0)


def available_bytes(device: torch.device) -> int:
    """Memory of a GPU; on a CPU, this machine's free memory for each process on it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    local_ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return _host_bytes() // local_ranks


def _host_bytes() -> int:
    """Free memory of the machine, or the limit of the container that it is."""
    with open("/proc/meminfo", encoding="utf-8") as lines:  # noqa: PTH123
        kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="utf-8") as file:  # noqa: PTH123
            limit = file.read().strip()
    except OSError:
        limit = "max"
    return kib * 1024 if limit == "max" else min(kib * 1024, int(limit))


def check_memory(config: TrainConfig, num_ranks: int, device: torch.device) -> None:
    """Raise before the first step if the plan does not fit.

    Raises:
        UsageError: Names what is needed, what there is, and what would help.
    """
    needed, there = memory_plan(config, num_ranks)["total_bytes"], available_bytes(device)
    if needed > there:
        raise UsageError(
            f"too little memory: this run needs about {needed / GIB:.1f} GiB in each of "
            f"{num_ranks} processes, {device} has {there / GIB:.1f} GiB; use more processes, a "
            "smaller micro_batch, checkpoint_activations=true or dtype=bfloat16 (see --dry-run); "
            "run.memory_check=false tries all the same"
        )


def format_plan(plan: dict[str, Any]) -> str:
    """The plan for people."""
    columns = ("weights", "gathered", "gradients", "optimiser", "average", "activations", "caches")
    head = f"{'network':10} {'size':9} {'params':>8} " + " ".join(f"{name:>11}" for name in columns)
    lines = [
        f"{plan['stage']}, {plan['world_size']} process{'es' * (plan['world_size'] != 1)}, "
        f"{plan['dtype']}, {counted(plan['micro_batch'], 'video')} of "
        f"{plan['latent_frames']} latent frames ({plan['tokens']} tokens) at once; GiB a process",
        head,
    ]
    for row in plan["networks"]:
        cells = " ".join(f"{row[name] / GIB:11.2f}" for name in columns)
        lines.append(f"{row['role']:10} {row['size']:9} {row['parameters'] / 1e6:7,.0f}M {cells}")
    lines.append(
        f"total {plan['total_bytes'] / GIB:.1f} GiB: all that is held, the activations, caches and "
        f"text of the busiest network, and {plan['runtime_bytes'] / GIB:.1f} of the runtime; "
        "activations are an estimate (formulas: hiar/training/run/memory_plan.py)"
    )
    return "\n".join(lines) + "\n"
