"""EMA: an exponential moving average of weights, in float32, sharded as the weights are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hiar.errors import UsageError


class WeightEma:
    """Exponential moving average of a network's parameters.

    Args:
        model: Network whose parameters are averaged; it may be sharded.
        decay: Share of the old average kept at each update, in [0, 1).
        start_step: First step that counts: the EMA begins as the weights after it (HiAR release,
            trainer: 200).
        device: Device that holds the EMA; None keeps it with the weights.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        decay: float,
        start_step: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        if not 0 <= decay < 1:
            raise UsageError(f"EMA decay {decay} must lie in [0, 1)")
        self._model = model
        self.decay = decay
        self.start_step = start_step
        self._device = device
        self._weights: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the EMA with the weights after a training step."""
        if step < self.start_step:
            return
        if not self._weights:
            self._weights = self._copies()
            return
        for name, parameter in self._model.named_parameters():
            average = self._weights[name]
            average.lerp_(parameter.detach().to(average.device, torch.float32), 1 - self.decay)

    @property
    def weights(self) -> Mapping[str, torch.Tensor]:
        """EMA weights by parameter name, float32; empty before the first counted step."""
        return self._weights

    def state(self) -> dict[str, torch.Tensor]:
        """The EMA weights for a checkpoint."""
        return dict(self._weights)

    @torch.no_grad()
    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a checkpoint's `state`; an empty one was saved before the first update."""
        self._weights = self._copies() if state else {}
        for name, average in self._weights.items():
            average.copy_(state[name])

    def _copies(self) -> dict[str, torch.Tensor]:
        return {
            name: parameter.detach().to(self._device or parameter.device, torch.float32, copy=True)
            for name, parameter in self._model.named_parameters()
        }
