"""Randomness that needs no state: every draw is keyed by (seed, step, sample, purpose)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import torch


def keyed_generator(*, seed: int, step: int, sample: int, purpose: str) -> torch.Generator:
    """A CPU generator that is the same wherever and whenever this draw is made.

    Args:
        seed: Seed of the run.
        step: Training step.
        sample: Index of the sample in the step's whole batch; 0 for what a step draws once.
        purpose: Name of the draw, such as "noise"; two purposes never share numbers.
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
        num_items: Items of the data set.
        seed: Seed of the run.
        step: Index of the training step.
        batch_size: Samples of a step, all processes together.
        samples: Indices of the samples in the step's batch, in [0, batch_size).
        purpose: Name of the data set's use; two uses walk through it in different orders.
    """
    places = [divmod(step * batch_size + sample, num_items) for sample in samples]
    return [_epoch_order(num_items, seed, epoch, purpose)[index] for epoch, index in places]


@lru_cache(maxsize=8)
def _epoch_order(num_items: int, seed: int, epoch: int, purpose: str) -> tuple[int, ...]:
    generator = keyed_generator(seed=seed, step=epoch, sample=0, purpose=f"order of {purpose}")
    return tuple(torch.randperm(num_items, generator=generator).tolist())
