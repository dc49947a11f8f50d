"""One training step of each of some small stages, on however many processes; the first writes it.

fsdp_worker.py OUT DTYPE STAGE...
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor

from hiar.model.config import WanConfig
from hiar.model.transformer import CausalWan
from hiar.runtime.ranks import Ranks, leave
from hiar.sampling.config import SamplerConfig
from hiar.training.data import TrajectoryBatch
from hiar.training.forward_kl import ForwardKLConfig
from hiar.training.keyed import keyed_normal
from hiar.training.recipes import DistillConfig
from hiar.training.run.networks import random_network
from hiar.training.run.sharding import (
    is_sharded,
    joined,
    mean_over_ranks,
    mesh_of,
    shard_from_first,
)
from hiar.training.stages.distill import DistillStage
from hiar.training.stages.ode_init import OdeInitConfig, OdeInitStage
from hiar.training.stages.stage import Stage

SIZES = WanConfig(
    dim=24, ffn_dim=48, num_heads=2, num_layers=2, freq_dim=16, text_dim=8, text_len=4,
    in_channels=4, out_channels=4,
)  # fmt: skip
SHAPE = (6, 4, 4, 4)
CPU = torch.device("cpu")


class Data:
    """Six prompts and trajectories of noise."""

    sigmas = torch.tensor([1.0, 0.9375, 0.8333, 0.625, 0.0])

    def __len__(self) -> int:
        return 6

    def read_text(self, indices: Sequence[int]) -> torch.Tensor:
        return keyed_normal((4, 8), seed=1, step=0, samples=indices, purpose="text")


class Paths(Data):
    def read(self, indices: Sequence[int]) -> TrajectoryBatch:
        latents = keyed_normal((5, *SHAPE), seed=1, step=0, samples=indices, purpose="points")
        return TrajectoryBatch(latents=latents, sigmas=self.sigmas, text=self.read_text(indices))


class Prompts(Data):
    def read(self, indices: Sequence[int]) -> torch.Tensor:
        return self.read_text(indices)

    def empty(self) -> torch.Tensor:
        return torch.zeros(1, 4, 8)


def build_stage(name: str, dtype: torch.dtype, ranks: Ranks) -> Stage:
    def network(seed: int, trained: bool = True) -> CausalWan:
        if not is_sharded(dtype, ranks.num_ranks):
            return random_network(SIZES, seed).requires_grad_(trained)
        kept = torch.float32 if trained else dtype
        model = shard_from_first(
            lambda: random_network(SIZES, seed), SIZES, ranks, mesh_of(CPU), dtype=dtype, kept=kept
        )
        return model.requires_grad_(trained)

    if name == "ode-init":
        config = OdeInitConfig(steps=1, batch_size=4, micro_batch=1, clip_norm=1e9)
        return OdeInitStage(network(0), Paths(), config, seed=3, ranks=ranks)
    distill = DistillConfig(
        sampler=SamplerConfig(steps=(1000, 500)), min_exit_step=1, batch_size=4,
        cache_gradient=name, forward_kl=ForwardKLConfig(steps=2), clip_norm=1e9,
    )  # fmt: skip
    stage = DistillStage(
        network(0), network(1, trained=False), network(2), Prompts(), Paths(), distill,
        latent_shape=SHAPE, seed=3, ranks=ranks,
    )  # fmt: skip
    stage.models["student"].checkpoint_activations = name == "detached"
    return stage


def run(stage: Stage, ranks: Ranks, out: Path, name: str) -> None:
    gradients: dict[str, torch.Tensor] = {}

    def keep(model: str) -> None:
        for parameter_name, parameter in stage.models[model].named_parameters():
            grad = parameter.grad
            assert grad is not None, parameter_name
            assert grad.dtype == torch.float32
            whole = grad.full_tensor() if isinstance(grad, DTensor) else grad
            gradients[f"{model}.{parameter_name}"] = whole.clone()

    for model, optimiser in stage.optimisers.items():
        optimiser.register_step_pre_hook(lambda *_, model=model: keep(model))
    metrics = mean_over_ranks(stage.run_step(0), ranks)
    if ranks.is_first:
        save_file(gradients, out / f"{name}.safetensors")
        (out / f"{name}.json").write_text(json.dumps(metrics))


def main() -> None:
    out, dtype = Path(sys.argv[1]), getattr(torch, sys.argv[2])
    with joined(CPU, always=is_sharded(dtype, 1)) as ranks:
        for name in sys.argv[3:]:
            run(build_stage(name, dtype, ranks), ranks, out, name)
    leave(0)


if __name__ == "__main__":
    main()
