"""What the stages that train one network on one loss have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from hiar.training.ema import WeightAverage
from hiar.training.optimise import step_down
from hiar.training.stages.stage import EMA_KEY

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.ranks import Ranks


class OneNetworkConfig(Protocol):
    """What every such stage must be told.

    Attributes:
        batch_size: Samples of a step, all processes together.
        micro_batch: Samples in memory at once; None is all of a process's share.
        learning_rate, weight_decay, clip_norm: Of AdamW and of the gradient.
        ema_decay: Of the average of the weights; 0 keeps none.
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
        config: Settings.
        betas: Of AdamW.
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
        optimiser = torch.optim.AdamW(
            model.requires_grad_(True).parameters(),
            lr=config.learning_rate, betas=betas, weight_decay=config.weight_decay,
        )  # fmt: skip
        self.models = {self.product: model}
        self.optimisers = {self.product: optimiser}
        self._model, self._optimiser, self._clip_norm = model, optimiser, config.clip_norm
        self._samples = ranks.share(range(config.batch_size))
        self._micro_batch = config.micro_batch or config.batch_size
        decay = config.ema_decay
        self._average = WeightAverage(model, decay=decay) if decay else None

    @abstractmethod
    def loss(self, step: int, samples: Sequence[int]) -> torch.Tensor:
        """Mean loss over some samples of a step, with its graph."""

    @abstractmethod
    def learning_rate(self, step: int) -> float:
        """Of a step."""

    def run_step(self, step: int) -> Mapping[str, float]:
        """One optimiser step."""
        total = 0.0
        for samples in parts(self._samples, self._micro_batch):
            loss = self.loss(step, samples) * (len(samples) / len(self._samples))
            loss.backward()
            total += loss.item()
        rate = self.learning_rate(step)
        norm = step_down(self._optimiser, learning_rate=rate, clip_norm=self._clip_norm)
        if self._average is not None:
            self._average.update(step)
        return {"loss": total, "gradient_norm": norm, "learning_rate": rate}

    def extra_state(self) -> dict[str, Any]:
        """The averaged weights."""
        return {} if self._average is None else {EMA_KEY: self._average.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `extra_state`."""
        if self._average is not None:
            self._average.load(state[EMA_KEY])


def parts(samples: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Runs of at most `size` samples, in order."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
