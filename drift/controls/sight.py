"""How far a metric follows a planted fault: pure maths on its readings at rising doses."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLIND = 0.1
"""Mean change at the largest dose, in scales of the metric, below which it counts as blind. Ours: a
tenth of what the preset calls drift 1."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """How one metric reads one degradation.

    Attributes:
        effects: Mean change from the untreated video at each dose, in scales of the metric.
        spread: Smallest and largest change over videos at the largest dose.
        accuracy: Share of the pairs of doses of one video, no dose included, whose larger dose
            reads further in the direction of the mean effect; a tie counts half. 0.5 is chance.
    """

    effects: tuple[float, ...]
    spread: tuple[float, float]
    accuracy: float

    @property
    def blind(self) -> bool:
        """Whether the largest dose moves the metric by less than `BLIND`."""
        return abs(self.effects[-1]) < BLIND


def see(readings: NDArray[np.float64] | Sequence[Sequence[float]]) -> Sight:
    """Says how far readings follow the dose.

    Args:
        readings: (videos, 1 + doses) readings in scales of the metric, untreated first.
    """
    table = np.asarray(readings, dtype=np.float64)
    effects = table - table[:, :1]
    means = effects[:, 1:].mean(axis=0)
    direction = np.sign(means[-1])
    right = [
        0.5 + 0.5 * np.sign(direction * (effects[:, high] - effects[:, low]))
        for low, high in itertools.combinations(range(table.shape[1]), 2)
    ]
    return Sight(
        effects=tuple(means.tolist()),
        spread=(float(effects[:, -1].min()), float(effects[:, -1].max())),
        accuracy=float(np.mean(right)),
    )
