"""The stage that trains a model on encoded clips: flow matching, under any attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from hiar.model.geometry import num_blocks
from hiar.runtime.ranks import Ranks
from hiar.training.flow_matching import Batch, FlowMatchingConfig, flow_matching_loss, noise_levels
from hiar.training.keyed import data_indices, keyed_normal, keyed_uniform
from hiar.training.optimise import warmup_cosine
from hiar.training.stages.one_network import OneNetworkStage

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan


class Clips(Protocol):
    """A set of encoded clips that any sample can be read from."""

    def __len__(self) -> int:
        """Number of clips."""
        ...

    def read(self, indices: Sequence[int]) -> Batch:
        """The clips with these indices, in this order, on the CPU."""
        ...


class PretrainStage(OneNetworkStage):
    """Flow matching on encoded clips.

    Args:
        model: The transformer; its parameters get gradients.
        clips: Encoded clips to train on.
        config: Settings of the run.
        seed: Seed of every draw.
        ranks: This process among those that share a step's samples.
    """

    product = "model"

    def __init__(
        self,
        model: CausalWan,
        clips: Clips,
        config: FlowMatchingConfig,
        *,
        seed: int,
        ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__(model, config, betas=(0.9, 0.95), ranks=ranks)
        self._clips, self._config, self._seed = clips, config, seed

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        config = self._config
        return config.learning_rate * warmup_cosine(step, config.steps, config.warmup_steps)

    def loss(self, step: int, samples: Sequence[int]) -> torch.Tensor:
        """The loss on clips, noise and noise levels that belong to the samples."""
        config, seed, device = self._config, self._seed, self._model.device
        rows = data_indices(
            len(self._clips), seed=seed, step=step, batch_size=config.batch_size, samples=samples,
            purpose="clips",
        )  # fmt: skip
        batch = self._clips.read(rows)
        blocks = num_blocks(batch.latents.shape[1], config.frames_per_block)

        def uniform(shape: tuple[int, ...], purpose: str) -> torch.Tensor:
            return keyed_uniform(shape, seed=seed, step=step, samples=samples, purpose=purpose)

        kept = uniform((1, 1), "text dropout") >= config.text_dropout
        sigmas = noise_levels(
            uniform((blocks,), "noise level"), uniform((blocks,), "clean block"), config
        )
        noise = keyed_normal(
            batch.latents.shape[1:], seed=seed, step=step, samples=samples, purpose="noise"
        )
        moved = Batch(latents=batch.latents.to(device), text=(batch.text * kept).to(device))
        return flow_matching_loss(self._model, moved, noise.to(device), sigmas.to(device), config)
