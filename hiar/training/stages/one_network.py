"""The common part of the stages that train one network on one loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from hiar.training.ema import WeightEma
from hiar.training.optimise import new_adamw, optimizer_step
from hiar.training.stages.stage import EMA_KEY

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.ranks import Ranks


class OneNetworkConfig(Protocol):
    """Settings that every such stage has.

    Attributes:
        batch_size: Samples of a step, all processes together.
        micro_batch: Samples in memory at once; None is all of a process's share.
        learning_rate: Peak learning rate.
        weight_decay: Weight decay of AdamW.
        clip_norm: Largest norm of the gradient.
        ema_decay: Decay of the weights' EMA; 0 keeps none.
    """

    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def micro_batch(self) -> int | None: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102
    @property
    def clip_norm(self) -> float: ...  # noqa: D102
    @property
    def ema_decay(self) -> float: ...  # noqa: D102


class OneNetworkStage(ABC):
    """A `Stage` of one network, one optimiser and one loss that is a mean over samples.

    Args:
        model: The network; its parameters get gradients.
        config: Settings of the run.
        betas: Betas of AdamW.
        ranks: This process among those that share a step's samples.
    """

    product = "model"

    def __init__(
        self,
        model: CausalWan,
        config: OneNetworkConfig,
        *,
        betas: tuple[float, float],
        ranks: Ranks,
    ) -> None:
        optimiser = new_adamw(
            model, learning_rate=config.learning_rate, betas=betas,
            weight_decay=config.weight_decay,
        )  # fmt: skip
        self.models = {self.product: model}
        self.optimisers = {self.product: optimiser}
        self._model, self._optimiser, self._clip_norm = model, optimiser, config.clip_norm
        self._samples = ranks.share(range(config.batch_size))
        self._micro_batch = config.micro_batch or config.batch_size
        decay = config.ema_decay
        self._ema = WeightEma(model, decay=decay) if decay else None

    @abstractmethod
    def loss(self, step: int, samples: Sequence[int]) -> torch.Tensor:
        """Mean loss over some samples of a step, with its graph."""

    @abstractmethod
    def learning_rate(self, step: int) -> float:
        """Learning rate of a training step."""

    def run_step(self, step: int) -> Mapping[str, float]:
        """One optimiser step."""
        total = 0.0
        for samples in parts(self._samples, self._micro_batch):
            loss = self.loss(step, samples) * (len(samples) / len(self._samples))
            loss.backward()
            total += loss.item()
        rate = self.learning_rate(step)
        norm = optimizer_step(self._optimiser, learning_rate=rate, clip_norm=self._clip_norm)
        if self._ema is not None:
            self._ema.update(step)
        return {"loss": total, "gradient_norm": norm, "learning_rate": rate}

    def extra_state(self) -> dict[str, Any]:
        """The EMA weights."""
        return {} if self._ema is None else {EMA_KEY: self._ema.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `extra_state` returned."""
        if self._ema is not None:
            self._ema.load(state[EMA_KEY])


def parts(samples: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Runs of at most `size` samples, in order."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
