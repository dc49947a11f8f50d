"""What the training loop asks of a stage, and randomness that needs no state.

Every draw is keyed by (seed, step, sample, purpose), so a resumed run needs no generator's state,
and a run on many processes draws what a run on one does. The samples of a step are shared out by
`Ranks.share(range(batch_size))`: sample i belongs to process i % num_ranks.

A stage receives built networks that may already be sharded (`hiar.training.sharding`), and calls
them through the methods of the root module alone: forward, forward_block, forward_blocks,
encode_text. FSDP2 gathers weights there and averages gradients over the processes, so a stage
backpropagates the mean over the samples of its own process; all have equally many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

EMA_KEY = "ema"
"""In `extra_state`: averaged weights of the product by parameter name, when there are any."""


class Stage(Protocol):
    """One kind of training: networks, their optimisers and a step."""

    @property
    def models(self) -> Mapping[str, nn.Module]:
        """All networks by name; those that are trained are the keys of `optimisers`."""
        ...

    @property
    def optimisers(self) -> Mapping[str, Optimizer]:
        """One optimiser a trained network, under the network's name."""
        ...

    @property
    def product(self) -> str:
        """Name of the network that the stage is run for: it is sampled, and saved at the end."""
        ...

    def run_step(self, step: int) -> Mapping[str, float]:
        """Run one whole training step, accumulation and optimiser steps included.

        Args:
            step: Index from 0; with the seed, it decides every draw.

        Returns:
            Metrics by name, means over this process's samples; the loop averages them over the
            processes and stops at one that is not finite.
        """
        ...

    def extra_state(self) -> dict[str, Any]:
        """What a resumed run needs beside networks and optimisers: tensors, numbers, dicts."""
        ...

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `extra_state` returned."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrajectoryBatch:
    """Points of teacher trajectories.

    Attributes:
        latents: [B, K + 1, F, C, H, W], float32 on the CPU, from pure noise to clean.
        sigmas: float32 [K + 1], the noise level of each point, falling from 1 to 0.
        text: [B, text, text_dim].
    """

    latents: torch.Tensor
    sigmas: torch.Tensor
    text: torch.Tensor


class Trajectories(Protocol):
    """A set of teacher trajectories that any sample can be read from."""

    @property
    def sigmas(self) -> torch.Tensor:
        """Noise levels of the saved points, float32 [K + 1]."""
        ...

    def __len__(self) -> int:
        """Trajectories."""
        ...

    def read(self, indices: Sequence[int]) -> TrajectoryBatch:
        """Those trajectories, in that order."""
        ...


class Texts(Protocol):
    """A set of prompts as embeddings."""

    def __len__(self) -> int:
        """Prompts."""
        ...

    def read(self, indices: Sequence[int]) -> torch.Tensor:
        """Their embeddings [B, text, text_dim], in that order."""
        ...

    def empty(self) -> torch.Tensor:
        """The embedding [1, text, text_dim] of the unconditional (negative) prompt."""
        ...


def keyed_generator(*, seed: int, step: int, sample: int, purpose: str) -> torch.Generator:
    """A CPU generator that is the same wherever and whenever this draw is made.

    Args:
        seed: Of the run.
        step: Training step.
        sample: Index of the sample in the step's whole batch; 0 for what a step draws once.
        purpose: What is drawn, such as "noise"; two purposes never share numbers.
    """
    key = hashlib.sha256(f"train/{seed}/{step}/{sample}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(key[:8], "little") >> 1)


def keyed_normal(
    shape: Sequence[int], *, seed: int, step: int, samples: Sequence[int], purpose: str
) -> torch.Tensor:
    """Unit normal noise, one draw of `shape` a sample: float32 [B, *shape] on the CPU."""
    return torch.stack([
        torch.randn(
            tuple(shape),
            generator=keyed_generator(seed=seed, step=step, sample=sample, purpose=purpose),
        )
        for sample in samples
    ])  # fmt: skip


def keyed_uniform(
    shape: Sequence[int], *, seed: int, step: int, samples: Sequence[int], purpose: str
) -> torch.Tensor:
    """Uniform numbers in [0, 1), one draw of `shape` a sample: float32 [B, *shape] on the CPU."""
    return torch.stack([
        torch.rand(
            tuple(shape),
            generator=keyed_generator(seed=seed, step=step, sample=sample, purpose=purpose),
        )
        for sample in samples
    ])  # fmt: skip


def keyed_integer(high: int, *, seed: int, step: int, sample: int = 0, purpose: str) -> int:
    """A whole number in [0, high)."""
    generator = keyed_generator(seed=seed, step=step, sample=sample, purpose=purpose)
    return int(torch.randint(high, (1,), generator=generator))


def data_indices(
    num_items: int, *, seed: int, step: int, batch_size: int, samples: Sequence[int], purpose: str
) -> list[int]:
    """Which items of a data set the samples of a step use: each item once an epoch, shuffled.

    Args:
        num_items: Of the data set.
        seed, step: Of the run and of the step.
        batch_size: Samples of a step, all processes together.
        samples: Indices in the step's batch, in [0, batch_size).
        purpose: Name of the data set's use; two uses walk through it in different orders.
    """
    places = [divmod(step * batch_size + sample, num_items) for sample in samples]
    return [_epoch_order(num_items, seed, epoch, purpose)[index] for epoch, index in places]


@lru_cache(maxsize=8)
def _epoch_order(num_items: int, seed: int, epoch: int, purpose: str) -> tuple[int, ...]:
    generator = keyed_generator(seed=seed, step=epoch, sample=0, purpose=f"order of {purpose}")
    return tuple(torch.randperm(num_items, generator=generator).tolist())
