"""FSDP2: networks sharded over processes, computed in bfloat16 over float32 masters.

Each layer is a group of its own, gathered when it runs and let go after; what lies outside the
layers is the root's group. Every entry of the network beside `forward` is registered, as weights
are gathered only there. Gradients are averaged over the processes in float32.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from hiar.model.layers import Block
from hiar.model.transformer import CausalWan
from hiar.runtime.ranks import TIMEOUT, Ranks, join, num_ranks_of

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from hiar.model.config import WanConfig

ROOT_METHODS = ("forward_cached", "encode_text")
LAYER_METHODS = ("encode_text", "keys_values")


@contextmanager
def joined(
    device: torch.device,
    *,
    always: bool,
    same: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Ranks]:
    """The processes that torchrun started, joined over the CPU and over their GPUs.

    Args:
        device: Device of this process.
        always: Form a process group even of one process, as sharding needs.
        same: Facts that must agree in all processes, by name.
        environment: Environment variables, torchrun's among them.

    Raises:
        UsageError: As in `hiar.runtime.ranks.join`.
    """
    num_ranks = num_ranks_of(environment)
    if num_ranks == 1 and not always:
        yield Ranks()
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if num_ranks == 1:
        store = distributed.HashStore()  # type: ignore[attr-defined]
        distributed.init_process_group(backend, store=store, rank=0, world_size=1, timeout=TIMEOUT)
    else:
        join(backend, same or {}, environment)
    try:
        yield Ranks(rank=distributed.get_rank(), num_ranks=num_ranks)
    finally:
        distributed.destroy_process_group()


def is_sharded(dtype: torch.dtype, num_ranks: int) -> bool:
    """Whether FSDP2 is needed: several processes, or a computation in another dtype."""
    return num_ranks > 1 or dtype != torch.float32


def mesh_of(device: torch.device) -> DeviceMesh:
    """All processes in one line."""
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415

    return init_device_mesh(device.type, (distributed.get_world_size(),))


def shard(model: CausalWan, mesh: DeviceMesh, dtype: torch.dtype) -> CausalWan:
    """Shard a network over the processes, in place.

    Args:
        model: Network in float32, the same in every process.
        mesh: The processes.
        dtype: Data type of the computation.

    Returns:
        The model.
    """
    from torch.distributed.fsdp import (  # noqa: PLC0415
        MixedPrecisionPolicy,
        fully_shard,
        register_fsdp_forward_method,
    )

    # torch warns that FSDP outputs are views and must not be modified in place; we never do.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
    # Inputs stay as they are: a timestep of 937.5 is 936 in bfloat16. The model casts the rest.
    policy = MixedPrecisionPolicy(
        param_dtype=None if dtype == torch.float32 else dtype,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,
    )
    for block in model.blocks:
        assert isinstance(block, Block)
        fully_shard(block, mesh=mesh, mp_policy=policy)
        for name in LAYER_METHODS:
            register_fsdp_forward_method(block, name)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    for name in ROOT_METHODS:
        register_fsdp_forward_method(model, name)
    return model


def shard_from_first(
    load: Callable[[], CausalWan],
    config: WanConfig,
    ranks: Ranks,
    mesh: DeviceMesh,
    *,
    dtype: torch.dtype,
    kept: torch.dtype,
) -> CausalWan:
    """A sharded network whose weights only the first process reads and sends out.

    No other process ever holds more than its part, so 14 billion weights need 56 GB of one host.

    Args:
        load: Function that reads the network, on the CPU; called in the first process only.
        config: Sizes of the network.
        ranks: This process among its peers.
        mesh: The processes.
        dtype: Data type of the computation.
        kept: Data type of the shards.
    """
    from torch.distributed.checkpoint.state_dict import (  # noqa: PLC0415
        StateDictOptions,
        set_model_state_dict,
    )

    with torch.device("meta"):
        model = CausalWan(config).to(kept).eval()
    shard(model, mesh, dtype).to_empty(device=mesh.device_type)
    weights = load().to(kept).state_dict() if ranks.is_first else {}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, weights, options=options)
    return model


def mean_over_ranks(values: Mapping[str, float], ranks: Ranks) -> dict[str, float]:
    """Means of numbers over the processes, the same in all."""
    if ranks.num_ranks == 1:
        return dict(values)
    names = sorted(values)
    summed = torch.tensor([values[name] for name in names], dtype=torch.float64)
    distributed.all_reduce(summed)
    means = (summed / ranks.num_ranks).tolist()
    return dict(zip(names, means, strict=True))
