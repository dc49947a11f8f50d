"""What training reads: prompts as embeddings, and trajectories of the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True, kw_only=True)
class TrajectoryBatch:
    """Points of teacher trajectories.

    Attributes:
        latents: Latents [B, K + 1, F, C, H, W], float32 on the CPU, from pure noise to clean.
        sigmas: Noise level of each point, float32 [K + 1], falling from 1 to 0.
        text: Text embeddings [B, text, text_dim].
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
        """Number of trajectories."""
        ...

    def read(self, indices: Sequence[int]) -> TrajectoryBatch:
        """The trajectories with these indices, in this order."""
        ...


class Texts(Protocol):
    """A set of prompts as embeddings."""

    def __len__(self) -> int:
        """Number of prompts."""
        ...

    def read(self, indices: Sequence[int]) -> torch.Tensor:
        """Embeddings [B, text, text_dim] of the prompts with these indices, in this order."""
        ...

    def empty(self) -> torch.Tensor:
        """The embedding [1, text, text_dim] of the unconditional (negative) prompt."""
        ...
