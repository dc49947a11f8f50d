"""The interface between the training loop and a stage.

Every draw is keyed by (seed, step, sample, purpose), so a resumed run needs no generator's state,
and a run on many processes draws what a run on one does. The samples of a step are shared out by
`Ranks.share(range(batch_size))`: sample i belongs to process i % num_ranks.

A stage receives built networks that may already be sharded (`hiar.training.run.sharding`), and
calls them through the methods of the root module alone: forward, forward_cached,
encode_text. FSDP2 gathers weights there and averages gradients over the processes, so a stage
backpropagates the mean over the samples of its own process; all have equally many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn
from torch.optim import Optimizer

from hiar.errors import UsageError

EMA_KEY = "ema"
"""Key of `extra_state`: EMA weights of the product by parameter name, if there are any."""


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
        """Name of the network that the stage makes: it is sampled, and saved at the end."""
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
        """Restore what `extra_state` returned."""
        ...


def check_batch(batch_size: int, num_ranks: int) -> None:
    """Every process needs equally many samples: gradients are averaged over processes.

    Raises:
        UsageError: If the batch does not divide.
    """
    if batch_size % num_ranks:
        raise UsageError(
            f"batch_size {batch_size} does not divide over {num_ranks} processes: choose a "
            f"multiple of {num_ranks}"
        )
